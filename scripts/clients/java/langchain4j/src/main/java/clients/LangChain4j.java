package clients;

import static clients.Cases.ALL;
import static clients.Cases.PROMPT;
import static clients.Cases.QUESTION;
import static clients.Cases.TOKENS;
import static clients.Cases.check;
import static clients.Cases.checkRaises;
import static clients.Cases.checkWeather;
import static clients.Cases.settle;
import static dev.langchain4j.model.chat.Capability.RESPONSE_FORMAT_JSON_SCHEMA;

import dev.langchain4j.agent.tool.P;
import dev.langchain4j.agent.tool.Tool;
import dev.langchain4j.exception.HttpException;
import dev.langchain4j.memory.chat.MessageWindowChatMemory;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.PartialResponse;
import dev.langchain4j.model.chat.response.PartialResponseContext;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.openai.OpenAiChatModel;
import dev.langchain4j.model.openai.OpenAiStreamingChatModel;
import dev.langchain4j.service.AiServices;
import dev.langchain4j.service.TokenStream;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** LangChain4j with its default HTTP client against the gateway at the address that is its argument. */
public final class LangChain4j {
  private static final Map<String, Object> RACE = Map.of("fastest_response", true);
  private final String url;


  private LangChain4j(String url) {
    this.url = url;
  }

  public static void main(String[] arguments) throws Exception {
    var tester = new LangChain4j(arguments[0]);
    new Cases("langchain4j-open-ai")
        .add("cancelled", tester::cancelled)
        .add("plain", tester::plain)
        .add("streamed", () -> checkUsage(tester.stream("gpt", Map.of())))
        // It rejects a whole response with several choices.
        .add("all, one fails, streamed", () -> checkMixed(tester.stream(ALL, Map.of())))
        .add("race", tester::race)
        .add("race, streamed", () -> checkRace(tester.stream("slow, gpt", RACE)))
        .forEachVendor("tools", tester::tools)
        .forEachVendor("structured", tester::structured)
        .add("unknown model", () -> tester.failure("no-such-model", 404))
        .add("error", () -> tester.failure("failing", 502))
        .run();
  }

  private OpenAiChatModel.OpenAiChatModelBuilder chat(String model) {
    // The gateway retries itself.
    return OpenAiChatModel.builder().baseUrl(url).apiKey("none").modelName(model).maxRetries(0);
  }

  private OpenAiStreamingChatModel.OpenAiStreamingChatModelBuilder streaming(String model) {
    return OpenAiStreamingChatModel.builder().baseUrl(url).apiKey("none").modelName(model);
  }

  private String plain() {
    return checkUsage(ask(chat("gpt").build()));
  }

  private static ChatResponse ask(OpenAiChatModel model) {
    return model.chat(dev.langchain4j.data.message.UserMessage.from(PROMPT));
  }

  private static String checkUsage(ChatResponse answer) {
    check(answer.tokenUsage().outputTokenCount() == TOKENS, answer);
    return answer.aiMessage().text();
  }

  private static String checkMixed(ChatResponse answer) {
    return Cases.checkMixed(answer.aiMessage().text());
  }

  private static String checkRace(ChatResponse answer) {
    check(answer.modelName().equals("gpt"), answer);
    return answer.aiMessage().text();
  }

  private String race() {
    return checkRace(ask(chat("slow, gpt").customParameters(RACE).build()));
  }

  private ChatResponse stream(String model, Map<String, Object> more) throws Exception {
    var done = new CompletableFuture<ChatResponse>();
    streaming(model)
        .customParameters(more)
        .build()
        .chat(
            PROMPT,
            new StreamingChatResponseHandler() {
              @Override
              public void onCompleteResponse(ChatResponse response) {
                done.complete(response);
              }

              @Override
              public void onError(Throwable error) {
                done.completeExceptionally(error);
              }
            });
    return done.get(30, TimeUnit.SECONDS);
  }

  /** The tool that the models call. */
  public static final class Forecast {
    @Tool("Returns the weather in a city.")
    public String get_weather(@P("city") String city) {
      return "7 degrees in " + city;
    }
  }

  interface Assistant {
    String ask(String question);
  }

  interface StreamingAssistant {
    TokenStream ask(String question);
  }

  /** A run of an agent, then a second question in the same conversation, then a streamed run. */
  private String tools(String model) throws Exception {
    var assistant =
        AiServices.builder(Assistant.class)
            .chatModel(chat(model).build())
            .chatMemory(MessageWindowChatMemory.withMaxMessages(20))
            .tools(new Forecast())
            .build();
    checkWeather(assistant.ask(QUESTION));
    checkWeather(assistant.ask(QUESTION));
    var done = new CompletableFuture<ChatResponse>();
    AiServices.builder(StreamingAssistant.class)
        .streamingChatModel(streaming(model).build())
        .tools(new Forecast())
        .build()
        .ask(QUESTION)
        .onPartialResponse(word -> {})
        .onCompleteResponse(done::complete)
        .onError(done::completeExceptionally)
        .start();
    return checkWeather(done.get(30, TimeUnit.SECONDS).aiMessage().text());
  }

  /** The structured output. */
  public record Weather(String city, int degrees) {}

  interface Extractor {
    Weather weather(String question);
  }

  private String structured(String model) {
    var strict = chat(model).supportedCapabilities(RESPONSE_FORMAT_JSON_SCHEMA).strictJsonSchema(true);
    var found = AiServices.create(Extractor.class, strict.build()).weather(PROMPT);
    check(found.equals(new Weather("Oslo", 7)), found);
    return found.toString();
  }

  private String failure(String model, int status) throws Exception {
    return checkRaises(
        HttpException.class, raised -> raised.statusCode() == status, () -> ask(chat(model).build()));
  }

  private String cancelled() throws Exception {
    var ended = new CompletableFuture<Integer>();
    streaming("endless")
        .build()
        .chat(
            PROMPT,
            new StreamingChatResponseHandler() {
              private int words;

              @Override
              public void onPartialResponse(PartialResponse word, PartialResponseContext context) {
                if (++words == 4) {
                  context.streamingHandle().cancel();
                  ended.complete(words);
                }
              }

              @Override
              public void onCompleteResponse(ChatResponse response) {
                ended.completeExceptionally(new IllegalStateException("the stream ended"));
              }

              @Override
              public void onError(Throwable error) {
                ended.completeExceptionally(error);
              }
            });
    int words = ended.get(30, TimeUnit.SECONDS);
    settle();
    return "after " + words + " words";
  }
}
