package clients;

import static clients.Cases.ALL;
import static clients.Cases.ALL_TEXTS;
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
import com.openai.helpers.ChatCompletionAccumulator;
import com.openai.models.FunctionDefinition;
import com.openai.models.FunctionParameters;
import com.openai.models.chat.completions.ChatCompletion;
import com.openai.models.chat.completions.ChatCompletionCreateParams;
import com.openai.models.chat.completions.ChatCompletionStreamOptions;
import com.openai.models.chat.completions.ChatCompletionToolMessageParam;
import java.util.List;
import java.util.Map;

/** OpenAI's Java SDK, which validates each response, against the gateway at the address that is its argument. */
public final class OpenAi {
  private final OpenAIClient client;

  private OpenAi(String url) {
    client = OpenAIOkHttpClient.builder().baseUrl(url).apiKey("none").responseValidation(true).build();
  }

  public static void main(String[] arguments) throws Exception {
    var tester = new OpenAi(arguments[0]);
    new Cases("openai-java")
        .add("cancelled", tester::cancelled)
        .add("plain", tester::plain)
        .add("streamed", tester::streamed)
        .add("all, one fails", () -> checkAll(tester.ask(params(ALL, PROMPT))))
        .add("all, one fails, streamed", () -> checkAll(tester.accumulate(params(ALL, PROMPT))))
        .add("race", () -> checkRace(tester.ask(race())))
        .add("race, streamed", () -> checkRace(tester.accumulate(race())))
        .forEachVendor("tools", tester::tools)
        .add("structured, OpenAI", () -> tester.structured("gpt"))
        .add("structured, Anthropic", () -> tester.structured("claude"))
        .add("structured, Gemini", () -> tester.structured("gemini"))
        .add("lists", () -> checkLists(tester.accumulate(params("lists", PROMPT))))
        .add("lists, all", () -> checkLists(tester.accumulate(params("slow, lists", PROMPT))))
        .add("unknown model", () -> tester.failure("no-such-model", 404))
        .add("error", () -> tester.failure("failing", 502))
        .run();
  }

  private static ChatCompletionCreateParams.Builder params(String model, String prompt) {
    return ChatCompletionCreateParams.builder().model(model).addUserMessage(prompt);
  }

  private static ChatCompletionCreateParams.Builder race() {
    return params("slow, gpt", PROMPT)
        .putAdditionalBodyProperty("fastest_response", JsonValue.from(true));
  }

  private ChatCompletion ask(ChatCompletionCreateParams.Builder params) {
    return client.chat().completions().create(params.build());
  }

  private ChatCompletion accumulate(ChatCompletionCreateParams.Builder params) {
    var accumulator = ChatCompletionAccumulator.create();
    try (var stream = client.chat().completions().createStreaming(params.build())) {
      stream.stream().forEach(accumulator::accumulate);
    }
    return accumulator.chatCompletion();
  }

  private static String text(ChatCompletion answer) {
    return answer.choices().get(0).message().content().orElse("");
  }

  private String plain() {
    var answer = ask(params("gpt", PROMPT));
    check(answer.usage().orElseThrow().completionTokens() == TOKENS, answer);
    return text(answer);
  }

  private String streamed() {
    var usage = ChatCompletionStreamOptions.builder().includeUsage(true).build();
    var answer = accumulate(params("gpt", PROMPT).streamOptions(usage));
    check(answer.usage().orElseThrow().completionTokens() == TOKENS, answer);
    return text(answer);
  }

  private static String checkAll(ChatCompletion answer) {
    var texts = answer.choices().stream().map(one -> one.message().content().orElse("")).toList();
    check(texts.equals(ALL_TEXTS), answer);
    check(answer.choices().stream().allMatch(one -> one.finishReason().asString().equals("stop")), answer);
    var refusals = answer.choices().stream().map(one -> one.message().refusal().orElse("")).toList();
    check(refusals.get(0).isEmpty() && refusals.get(2).isEmpty() && !refusals.get(1).isEmpty(), answer);
    return refusals.get(1);
  }

  private static String checkRace(ChatCompletion answer) {
    check(answer.model().equals("gpt") && text(answer).equals("Hello from gpt-4o."), answer);
    return text(answer);
  }

  private String tools(String model) throws Exception {
    converse(model, this::ask);
    return converse(model, this::accumulate);
  }

  private interface Turn {
    ChatCompletion ask(ChatCompletionCreateParams.Builder params);
  }

  private static String converse(String model, Turn turn) throws Exception {
    var schema =
        FunctionParameters.builder()
            .putAdditionalProperty("type", JsonValue.from("object"))
            .putAdditionalProperty("properties", JsonValue.from(Map.of("city", Map.of("type", "string"))))
            .putAdditionalProperty("required", JsonValue.from(List.of("city")))
            .build();
    var tool = FunctionDefinition.builder().name("get_weather").parameters(schema).build();
    var params = params(model, QUESTION).addFunctionTool(tool);
    var message = turn.ask(params).choices().get(0).message();
    var calls = message.toolCalls().orElse(List.of());
    check(calls.size() == 2, message);
    params.addMessage(message);
    for (var call : calls) {
      var city = JSON.readTree(call.asFunction().function().arguments()).get("city").asText();
      params.addMessage(
          ChatCompletionToolMessageParam.builder()
              .toolCallId(call.asFunction().id())
              .content("7 degrees in " + city)
              .build());
    }
    return checkWeather(text(turn.ask(params)));
  }

  /** The structured output. */
  public static final class Weather {
    public String city;
    public int degrees;
  }

  private String structured(String model) {
    var answer = client.chat().completions().create(params(model, PROMPT).responseFormat(Weather.class).build());
    var found = answer.choices().get(0).message().content().orElseThrow();
    check(found.city.equals("Oslo") && found.degrees == 7, answer);
    return found.city + " " + found.degrees;
  }

  /** Lists that are not OpenAI's come in several chunks of the vendor; the accumulator leaves them out. */
  private static String checkLists(ChatCompletion answer) {
    var last = answer.choices().get(answer.choices().size() - 1).message().content().orElse("");
    check(last.equals("Hello from lists."), answer);
    return last;
  }

  private String failure(String model, int status) throws Exception {
    return checkRaises(
        OpenAIServiceException.class,
        raised -> raised.statusCode() == status,
        () -> ask(params(model, PROMPT)));
  }

  private String cancelled() throws Exception {
    long chunks;
    try (var stream = client.chat().completions().createStreaming(params("endless", PROMPT).build())) {
      chunks = stream.stream().limit(4).count();
    }
    settle();
    check(chunks == 4, chunks);
    return "after " + chunks + " chunks";
  }
}
