package clients;

import static clients.Cases.JSON;
import static clients.Cases.PROMPT;
import static clients.Cases.QUESTION;
import static clients.Cases.check;
import static clients.Cases.checkWeather;

import com.openai.core.JsonValue;
import com.openai.helpers.ResponseAccumulator;
import com.openai.models.responses.FunctionTool;
import com.openai.models.responses.Response;
import com.openai.models.responses.ResponseCreateParams;
import com.openai.models.responses.ResponseInputItem;
import com.openai.models.responses.ResponseOutputItem;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;

/** OpenAI's Java SDK with /v1/responses of the gateway at the address that is its argument. */
public final class OpenAiResponses extends OpenAiCases<ResponseCreateParams.Builder, Response> {
  private OpenAiResponses(String url) {
    super(url);
  }

  public static void main(String[] arguments) throws Exception {
    new OpenAiResponses(arguments[0]).cases("responses").run();
  }

  @Override
  ResponseCreateParams.Builder params(String model, String prompt) {
    return ResponseCreateParams.builder().model(model).input(prompt);
  }

  @Override
  ResponseCreateParams.Builder race() {
    return params("slow, gpt", PROMPT)
        .putAdditionalBodyProperty("fastest_response", JsonValue.from(true));
  }

  @Override
  Response ask(ResponseCreateParams.Builder params) {
    return client.responses().create(params.build());
  }

  @Override
  Response accumulate(ResponseCreateParams.Builder params) {
    var accumulator = ResponseAccumulator.create();
    try (var stream = client.responses().createStreaming(params.build())) {
      stream.stream().forEach(accumulator::accumulate);
    }
    return accumulator.response();
  }

  @Override
  String text(Response answer) {
    return answer.output().stream()
        .flatMap(item -> item.message().stream())
        .flatMap(message -> message.content().stream())
        .flatMap(part -> part.outputText().stream())
        .map(part -> part.text())
        .collect(Collectors.joining());
  }

  @Override
  String model(Response answer) {
    return answer.model().string().orElse("");
  }

  @Override
  long tokens(Response answer) {
    return answer.usage().orElseThrow().outputTokens();
  }

  /** The first response is the output, and the others are in `fanout`. */
  @Override
  String checkAll(Response answer) {
    check(text(answer).matches("Hello from (slow|gpt-4o)\\."), answer);
    var others = JSON.valueToTree(answer._additionalProperties()).get("fanout").get("responses");
    check(others.size() == 2, others);
    for (var one : others) {
      if (one.get("status").asText().equals("failed")) {
        return one.get("error").get("message").asText();
      }
    }
    throw new AssertionError(others);
  }

  @Override
  String converse(String model, Function<ResponseCreateParams.Builder, Response> turn) throws Exception {
    var schema =
        FunctionTool.Parameters.builder()
            .putAdditionalProperty("type", JsonValue.from("object"))
            .putAdditionalProperty("properties", JsonValue.from(Map.of("city", Map.of("type", "string"))))
            .putAdditionalProperty("required", JsonValue.from(List.of("city")))
            .putAdditionalProperty("additionalProperties", JsonValue.from(false))
            .build();
    var tool = FunctionTool.builder().name("get_weather").parameters(schema).strict(true).build();
    var first = turn.apply(params(model, QUESTION).addTool(tool));
    var items = new ArrayList<ResponseInputItem>();
    items.add(JsonValue.from(Map.of("role", "user", "content", QUESTION)).convert(ResponseInputItem.class));
    int calls = 0;
    for (ResponseOutputItem item : first.output()) {
      items.add(JsonValue.from(item).convert(ResponseInputItem.class));
    }
    for (ResponseOutputItem item : first.output()) {
      if (item.isFunctionCall()) {
        var call = item.asFunctionCall();
        var city = JSON.readTree(call.arguments()).get("city").asText();
        items.add(
            ResponseInputItem.ofFunctionCallOutput(
                ResponseInputItem.FunctionCallOutput.builder()
                    .callId(call.callId())
                    .output("7 degrees in " + city)
                    .build()));
        calls++;
      }
    }
    check(calls == 2, first);
    var params = ResponseCreateParams.builder().model(model).inputOfResponse(items).addTool(tool);
    return checkWeather(text(turn.apply(params)));
  }

  @Override
  Weather parse(String model) {
    var answer = client.responses().create(params(model, PROMPT).text(Weather.class).build());
    return answer.output().stream()
        .flatMap(item -> item.message().stream())
        .flatMap(message -> message.content().stream())
        .flatMap(part -> part.outputText().stream())
        .findFirst()
        .orElseThrow();
  }

  @Override
  long readSome(ResponseCreateParams.Builder params) {
    try (var stream = client.responses().createStreaming(params.build())) {
      return stream.stream().filter(event -> event.isOutputTextDelta()).limit(SEEN).count();
    }
  }
}
