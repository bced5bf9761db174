package clients;

import static clients.Cases.ALL;
import static clients.Cases.ALL_TEXTS;
import static clients.Cases.PROMPT;
import static clients.Cases.QUESTION;
import static clients.Cases.TOKENS;
import static clients.Cases.check;
import static clients.Cases.checkRaises;
import static clients.Cases.checkWeather;
import static clients.Cases.settle;

import com.openai.errors.OpenAIServiceException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.springframework.ai.chat.client.AdvisorParams;
import org.springframework.ai.chat.client.ChatClient;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.openai.OpenAiChatModel;
import org.springframework.ai.openai.OpenAiChatOptions;
import org.springframework.ai.tool.function.FunctionToolCallback;

/** Spring AI against the gateway at the address that is its argument. */
public final class SpringAi {
  private static final Map<String, Object> RACE = Map.of("fastest_response", true);
  private final String url;

  private SpringAi(String url) {
    this.url = url;
  }

  public static void main(String[] arguments) throws Exception {
    var tester = new SpringAi(arguments[0]);
    new Cases("spring-ai-openai")
        .add("cancelled", tester::cancelled)
        .add("plain", tester::plain)
        .add("streamed", tester::streamed)
        .add("all, one fails", tester::all)
        .add("all, one fails, streamed", tester::allStreamed)
        .add("race", tester::race)
        .add("race, streamed", tester::raceStreamed)
        .forEachVendor("tools", tester::tools)
        .forEachVendor("structured", tester::structured)
        .add("unknown model", () -> tester.failure("no-such-model", 404))
        .add("error", () -> tester.failure("failing", 502))
        .run();
  }

  private ChatClient chat(String model, Map<String, Object> more) {
    var options = OpenAiChatOptions.builder().baseUrl(url).apiKey("none").model(model);
    if (!more.isEmpty()) {
      options.extraBody(more);
    }
    return ChatClient.create(OpenAiChatModel.builder().options(options.build()).build());
  }

  private ChatClient chat(String model) {
    return chat(model, Map.of());
  }

  private String plain() {
    var answer = chat("gpt").prompt(PROMPT).call().chatResponse();
    check(answer.getMetadata().getUsage().getCompletionTokens() == TOKENS, answer);
    return answer.getResult().getOutput().getText();
  }

  private String streamed() {
    var words = chat("gpt").prompt(PROMPT).stream().content().collectList().block();
    check(words.size() > 1, words);
    return String.join("", words);
  }

  private String all() {
    var results = chat(ALL).prompt(PROMPT).call().chatResponse().getResults();
    List<String> texts = new ArrayList<>();
    for (var result : results) {
      var text = result.getOutput().getText();
      texts.add(text == null ? "" : text);
    }
    check(texts.equals(ALL_TEXTS), texts);
    return texts.get(2);
  }

  private String allStreamed() {
    var words = chat(ALL).prompt(PROMPT).stream().content().collectList().block();
    return Cases.checkMixed(String.join("", words));
  }

  private String race() {
    var answer = chat("slow, gpt", RACE).prompt(PROMPT).call().chatResponse();
    check(answer.getMetadata().getModel().equals("gpt"), answer);
    return answer.getResult().getOutput().getText();
  }

  private String raceStreamed() {
    var words = chat("slow, gpt", RACE).prompt(PROMPT).stream().content().collectList().block();
    var text = String.join("", words);
    check(text.equals("Hello from gpt-4o."), text);
    return text;
  }

  /** The arguments of the tool that the models call. */
  public record City(String city) {}

  /** A run of an agent, then a second question in the same conversation, then a streamed run. */
  private String tools(String model) {
    var tool =
        FunctionToolCallback.builder("get_weather", (City given) -> "7 degrees in " + given.city())
            .description("Returns the weather in a city.")
            .inputType(City.class)
            .build();
    var first = chat(model).prompt(QUESTION).toolCallbacks(tool).call().content();
    checkWeather(first);
    var history =
        List.of(new UserMessage(QUESTION), new AssistantMessage(first), new UserMessage(QUESTION));
    checkWeather(chat(model).prompt().messages(List.copyOf(history)).toolCallbacks(tool).call().content());
    var words = chat(model).prompt(QUESTION).toolCallbacks(tool).stream().content().collectList().block();
    return checkWeather(String.join("", words));
  }

  /** The structured output. */
  public record Weather(String city, int degrees) {}

  private String structured(String model) {
    var bySchema = AdvisorParams.ENABLE_NATIVE_STRUCTURED_OUTPUT;
    var found = chat(model).prompt(PROMPT).advisors(bySchema).call().entity(Weather.class);
    check(found.equals(new Weather("Oslo", 7)), found);
    return found.toString();
  }

  private String failure(String model, int status) throws Exception {
    return checkRaises(
        OpenAIServiceException.class,
        raised -> raised.statusCode() == status,
        () -> chat(model).prompt(PROMPT).call().content());
  }

  private String cancelled() throws Exception {
    var words = chat("endless").prompt(PROMPT).stream().content().take(4).collectList().block();
    settle();
    return "after " + words.size() + " words";
  }
}
