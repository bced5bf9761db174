package clients;

import static clients.Cases.ALL_TEXTS;
import static clients.Cases.JSON;
import static clients.Cases.PROMPT;
import static clients.Cases.QUESTION;
import static clients.Cases.check;
import static clients.Cases.checkWeather;

import com.openai.core.JsonValue;
import com.openai.helpers.ChatCompletionAccumulator;
import com.openai.models.FunctionDefinition;
import com.openai.models.FunctionParameters;
import com.openai.models.chat.completions.ChatCompletion;
import com.openai.models.chat.completions.ChatCompletionCreateParams;
import com.openai.models.chat.completions.ChatCompletionStreamOptions;
import com.openai.models.chat.completions.ChatCompletionToolMessageParam;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/** OpenAI's Java SDK with chat completions of the gateway at the address that is its argument. */
public final class OpenAi extends OpenAiCases<ChatCompletionCreateParams.Builder, ChatCompletion> {
  private OpenAi(String url) {
    super(url);
  }

  public static void main(String[] arguments) throws Exception {
    var tester = new OpenAi(arguments[0]);
    tester
        .cases("")
        .add("lists", () -> tester.checkLists("lists"))
        .add("lists, all", () -> tester.checkLists("slow, lists"))
        .run();
  }

  @Override
  ChatCompletionCreateParams.Builder params(String model, String prompt) {
    return ChatCompletionCreateParams.builder().model(model).addUserMessage(prompt);
  }

  @Override
  ChatCompletionCreateParams.Builder race() {
    return params("slow, gpt", PROMPT)
        .putAdditionalBodyProperty("fastest_response", JsonValue.from(true));
  }

  @Override
  ChatCompletion ask(ChatCompletionCreateParams.Builder params) {
    return client.chat().completions().create(params.build());
  }

  @Override
  ChatCompletion accumulate(ChatCompletionCreateParams.Builder params) {
    var usage = ChatCompletionStreamOptions.builder().includeUsage(true).build();
    var accumulator = ChatCompletionAccumulator.create();
    try (var stream = client.chat().completions().createStreaming(params.streamOptions(usage).build())) {
      stream.stream().forEach(accumulator::accumulate);
    }
    return accumulator.chatCompletion();
  }

  @Override
  String text(ChatCompletion answer) {
    return answer.choices().get(0).message().content().orElse("");
  }

  @Override
  String model(ChatCompletion answer) {
    return answer.model();
  }

  @Override
  long tokens(ChatCompletion answer) {
    return answer.usage().orElseThrow().completionTokens();
  }

  @Override
  String checkAll(ChatCompletion answer) {
    var texts = answer.choices().stream().map(one -> one.message().content().orElse("")).toList();
    check(texts.equals(ALL_TEXTS), answer);
    check(answer.choices().stream().allMatch(one -> one.finishReason().asString().equals("stop")), answer);
    var refusals = answer.choices().stream().map(one -> one.message().refusal().orElse("")).toList();
    check(refusals.get(0).isEmpty() && refusals.get(2).isEmpty() && !refusals.get(1).isEmpty(), answer);
    return refusals.get(1);
  }

  @Override
  String converse(String model, Function<ChatCompletionCreateParams.Builder, ChatCompletion> turn)
      throws Exception {
    var schema =
        FunctionParameters.builder()
            .putAdditionalProperty("type", JsonValue.from("object"))
            .putAdditionalProperty("properties", JsonValue.from(Map.of("city", Map.of("type", "string"))))
            .putAdditionalProperty("required", JsonValue.from(List.of("city")))
            .build();
    var tool = FunctionDefinition.builder().name("get_weather").parameters(schema).build();
    var message = turn.apply(params(model, QUESTION).addFunctionTool(tool)).choices().get(0).message();
    var calls = message.toolCalls().orElse(List.of());
    check(calls.size() == 2, message);
    var params = params(model, QUESTION).addFunctionTool(tool).addMessage(message);
    for (var call : calls) {
      var city = JSON.readTree(call.asFunction().function().arguments()).get("city").asText();
      params.addMessage(
          ChatCompletionToolMessageParam.builder()
              .toolCallId(call.asFunction().id())
              .content("7 degrees in " + city)
              .build());
    }
    return checkWeather(text(turn.apply(params)));
  }

  @Override
  Weather parse(String model) {
    var params = params(model, PROMPT).responseFormat(Weather.class).build();
    return client.chat().completions().create(params).choices().get(0).message().content().orElseThrow();
  }

  /** Lists that are not OpenAI's come in several chunks of the vendor; the accumulator leaves them out. */
  private String checkLists(String models) {
    var answer = accumulate(params(models, PROMPT));
    var last = answer.choices().get(answer.choices().size() - 1).message().content().orElse("");
    check(last.equals("Hello from lists."), answer);
    return last;
  }

  @Override
  long readSome(ChatCompletionCreateParams.Builder params) {
    try (var stream = client.chat().completions().createStreaming(params.build())) {
      return stream.stream().limit(SEEN).count();
    }
  }
}
