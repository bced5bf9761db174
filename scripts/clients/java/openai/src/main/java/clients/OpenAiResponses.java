package clients;

import static clients.Cases.ALL;
import static clients.Cases.JSON;
import static clients.Cases.PROMPT;
import static clients.Cases.QUESTION;
import static clients.Cases.TOKENS;
import static clients.Cases.check;
import static clients.Cases.checkRaises;
import static clients.Cases.checkWeather;
import static clients.Cases.settle;

import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.core.JsonValue;
import com.openai.errors.OpenAIServiceException;
import com.openai.helpers.ResponseAccumulator;
import com.openai.models.responses.FunctionTool;
import com.openai.models.responses.Response;
import com.openai.models.responses.ResponseCreateParams;
import com.openai.models.responses.ResponseInputItem;
import com.openai.models.responses.ResponseOutputItem;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** OpenAI's Java SDK with /v1/responses of the gateway at the address that is its argument. */
public final class OpenAiResponses {
  private final OpenAIClient client;

  private OpenAiResponses(String url) {
    client = OpenAIOkHttpClient.builder().baseUrl(url).apiKey("none").responseValidation(true).build();
  }

  public static void main(String[] arguments) throws Exception {
    var tester = new OpenAiResponses(arguments[0]);
    new Cases("openai-java", "responses")
        .add("cancelled", tester::cancelled)
        .add("plain", () -> checkPlain(tester.ask(params("gpt", PROMPT))))
        .add("streamed", () -> checkPlain(tester.accumulate(params("gpt", PROMPT))))
        .add("all, one fails", () -> checkAll(tester.ask(params(ALL, PROMPT))))
        .add("all, one fails, streamed", () -> checkAll(tester.accumulate(params(ALL, PROMPT))))
        .add("race", () -> checkRace(tester.ask(race())))
        .add("race, streamed", () -> checkRace(tester.accumulate(race())))
        .forEachVendor("tools", tester::tools)
        .add("structured, OpenAI", () -> tester.structured("gpt"))
        .add("structured, Anthropic", () -> tester.structured("claude"))
        .add("structured, Gemini", () -> tester.structured("gemini"))
        .add("unknown model", () -> tester.failure("no-such-model", 404))
        .add("error", () -> tester.failure("failing", 502))
        .run();
  }

  private static ResponseCreateParams.Builder params(String model, String prompt) {
    return ResponseCreateParams.builder().model(model).input(prompt);
  }

  private static ResponseCreateParams.Builder race() {
    return params("slow, gpt", PROMPT)
        .putAdditionalBodyProperty("fastest_response", JsonValue.from(true));
  }

  private Response ask(ResponseCreateParams.Builder params) {
    return client.responses().create(params.build());
  }

  private Response accumulate(ResponseCreateParams.Builder params) {
    var accumulator = ResponseAccumulator.create();
    try (var stream = client.responses().createStreaming(params.build())) {
      stream.stream().forEach(accumulator::accumulate);
    }
    return accumulator.response();
  }

  private static String text(Response answer) {
    return answer.output().stream()
        .flatMap(item -> item.message().stream())
        .flatMap(message -> message.content().stream())
        .flatMap(part -> part.outputText().stream())
        .map(part -> part.text())
        .collect(Collectors.joining());
  }

  private static String model(Response answer) {
    return answer.model().string().orElse("");
  }

  private static String checkPlain(Response answer) {
    check(answer.usage().orElseThrow().outputTokens() == TOKENS, answer);
    check(text(answer).equals("Hello from gpt-4o."), answer);
    return text(answer);
  }

  /** The first response is the output, and the others are in `fanout`. */
  private static String checkAll(Response answer) {
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

  private static String checkRace(Response answer) {
    check(model(answer).equals("gpt") && text(answer).equals("Hello from gpt-4o."), answer);
    return text(answer);
  }

  private String tools(String model) throws Exception {
    converse(model, this::ask);
    return converse(model, this::accumulate);
  }

  private interface Turn {
    Response ask(ResponseCreateParams.Builder params);
  }

  private static String converse(String model, Turn turn) throws Exception {
    var schema =
        FunctionTool.Parameters.builder()
            .putAdditionalProperty("type", JsonValue.from("object"))
            .putAdditionalProperty("properties", JsonValue.from(Map.of("city", Map.of("type", "string"))))
            .putAdditionalProperty("required", JsonValue.from(List.of("city")))
            .putAdditionalProperty("additionalProperties", JsonValue.from(false))
            .build();
    var tool = FunctionTool.builder().name("get_weather").parameters(schema).strict(true).build();
    var first = turn.ask(params(model, QUESTION).addTool(tool));
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
    return checkWeather(text(turn.ask(params)));
  }

  /** The structured output. */
  public static final class Weather {
    public String city;
    public int degrees;
  }

  private String structured(String model) {
    var answer = client.responses().create(params(model, PROMPT).text(Weather.class).build());
    var found =
        answer.output().stream()
            .flatMap(item -> item.message().stream())
            .flatMap(message -> message.content().stream())
            .flatMap(part -> part.outputText().stream())
            .findFirst()
            .orElseThrow();
    check(found.city.equals("Oslo") && found.degrees == 7, answer);
    return found.city + " " + found.degrees;
  }

  private String failure(String model, int status) throws Exception {
    return checkRaises(
        OpenAIServiceException.class,
        raised -> raised.statusCode() == status,
        () -> ask(params(model, PROMPT)));
  }

  private String cancelled() throws Exception {
    long events;
    try (var stream = client.responses().createStreaming(params("endless", PROMPT).build())) {
      events = stream.stream().filter(event -> event.isOutputTextDelta()).limit(4).count();
    }
    settle();
    check(events == 4, events);
    return "after " + events + " words";
  }
}
