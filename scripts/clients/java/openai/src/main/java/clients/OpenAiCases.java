package clients;

import static clients.Cases.ALL;
import static clients.Cases.PROMPT;
import static clients.Cases.TOKENS;
import static clients.Cases.check;
import static clients.Cases.checkRaises;
import static clients.Cases.settle;

import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.errors.OpenAIServiceException;
import java.util.function.Function;

/** The cases of OpenAI's Java SDK, which validates each response: `P` builds an API's requests, `A` is its response. */
abstract class OpenAiCases<P, A> {
  static final String TEXT = "Hello from gpt-4o.";
  static final int SEEN = 4;

  final OpenAIClient client;

  OpenAiCases(String url) {
    client = OpenAIOkHttpClient.builder().baseUrl(url).apiKey("none").responseValidation(true).build();
  }

  abstract P params(String model, String prompt);

  abstract P race();

  abstract A ask(P params);

  /** The response that the SDK's accumulator makes of a stream. */
  abstract A accumulate(P params);

  abstract String text(A answer);

  abstract String model(A answer);

  abstract long tokens(A answer);

  /** Checks the response of the models `slow, broken, gpt`, and returns the failure. */
  abstract String checkAll(A answer);

  /** Two turns with a tool. */
  abstract String converse(String model, Function<P, A> turn) throws Exception;

  abstract Weather parse(String model);

  /** Closes a stream after `SEEN` events or fewer, and returns their number. */
  abstract long readSome(P params);

  /** The structured output. */
  public static final class Weather {
    public String city;
    public int degrees;
  }

  Cases cases(String use) {
    return new Cases("openai-java", use)
        .add("cancelled", this::cancelled)
        .add("plain", () -> checkPlain(ask(params("gpt", PROMPT))))
        .add("streamed", () -> checkPlain(accumulate(params("gpt", PROMPT))))
        .add("all, one fails", () -> checkAll(ask(params(ALL, PROMPT))))
        .add("all, one fails, streamed", () -> checkAll(accumulate(params(ALL, PROMPT))))
        .add("race", () -> checkRace(ask(race())))
        .add("race, streamed", () -> checkRace(accumulate(race())))
        .forEachVendor("tools", this::tools)
        .forEachVendor("structured", this::structured)
        .add("unknown model", () -> failure("no-such-model", 404))
        .add("error", () -> failure("failing", 502));
  }

  private String checkPlain(A answer) {
    check(tokens(answer) == TOKENS && text(answer).equals(TEXT), answer);
    return text(answer);
  }

  private String checkRace(A answer) {
    check(model(answer).equals("gpt") && text(answer).equals(TEXT), answer);
    return text(answer);
  }

  private String tools(String model) throws Exception {
    converse(model, this::ask);
    return converse(model, this::accumulate);
  }

  private String structured(String model) {
    var found = parse(model);
    check(found.city.equals("Oslo") && found.degrees == 7, found.city);
    return found.city + " " + found.degrees;
  }

  private String failure(String model, int status) throws Exception {
    return checkRaises(
        OpenAIServiceException.class,
        raised -> raised.statusCode() == status,
        () -> ask(params(model, PROMPT)));
  }

  private String cancelled() throws Exception {
    long seen = readSome(params("endless", PROMPT));
    settle();
    check(seen == SEEN, seen);
    return "after " + seen + " events";
  }
}
