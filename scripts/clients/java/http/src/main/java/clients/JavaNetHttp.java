package clients;

import static clients.Cases.ALL;
import static clients.Cases.ALL_TEXTS;
import static clients.Cases.JSON;
import static clients.Cases.PROMPT;
import static clients.Cases.QUESTION;
import static clients.Cases.TOKENS;
import static clients.Cases.check;
import static clients.Cases.checkWeather;
import static clients.Cases.settle;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/**
 * Java's own HTTP client, as it is by default, against the gateway at the address that is its argument.
 *
 * <p>By default, it asks in its first request to go on with HTTP/2 (`Upgrade: h2c`).
 */
public final class JavaNetHttp {
  private final HttpClient client = HttpClient.newHttpClient();
  private final URI address;

  private JavaNetHttp(String url) {
    address = URI.create(url + "/chat/completions");
  }

  public static void main(String[] arguments) throws Exception {
    var tester = new JavaNetHttp(arguments[0]);
    new Cases("java.net.http")
        .add("cancelled", tester::cancelled)
        .add("plain", tester::plain)
        .add("streamed", tester::streamed)
        .add("all, one fails", tester::allPlain)
        .add("all, one fails, streamed", tester::allStreamed)
        .add("race", tester::race)
        .forEachVendor("tools", tester::tools)
        .add("unknown model", () -> tester.failure("no-such-model", 404))
        .add("error", () -> tester.failure("failing", 502))
        .run();
  }

  private static ObjectNode body(String model, String prompt) {
    var body = JSON.createObjectNode().put("model", model);
    body.putArray("messages").addObject().put("role", "user").put("content", prompt);
    return body;
  }

  private HttpRequest request(ObjectNode body) throws IOException {
    return HttpRequest.newBuilder(address)
        .header("content-type", "application/json")
        .POST(HttpRequest.BodyPublishers.ofByteArray(JSON.writeValueAsBytes(body)))
        .build();
  }

  private JsonNode ask(ObjectNode body, int status) throws Exception {
    var response = client.send(request(body), BodyHandlers.ofByteArray());
    var answer = JSON.readTree(response.body());
    check(response.statusCode() == status, response.statusCode() + " " + answer);
    return answer;
  }

  private JsonNode ask(ObjectNode body) throws Exception {
    return ask(body, 200);
  }

  private Stream<JsonNode> stream(ObjectNode body) throws Exception {
    body.put("stream", true);
    body.putObject("stream_options").put("include_usage", true);
    var response = client.send(request(body), BodyHandlers.ofLines());
    check(response.statusCode() == 200, response.statusCode());
    return response
        .body()
        .filter(line -> line.startsWith("data: {"))
        .map(
            line -> {
              try {
                return JSON.readTree(line.substring(6));
              } catch (IOException error) {
                throw new IllegalStateException(error);
              }
            });
  }

  private static String text(JsonNode choice) {
    return choice.path("message").path("content").asText("");
  }

  private String plain() throws Exception {
    var answer = ask(body("gpt", PROMPT));
    check(answer.at("/usage/completion_tokens").asInt() == TOKENS, answer);
    return text(answer.at("/choices/0"));
  }

  private String streamed() throws Exception {
    var chunks = stream(body("gpt", PROMPT)).toList();
    check(chunks.get(chunks.size() - 1).at("/usage/completion_tokens").asInt() == TOKENS, chunks);
    var words = chunks.stream().map(one -> one.at("/choices/0/delta/content").asText("")).toList();
    return String.join("", words);
  }

  private String allPlain() throws Exception {
    var choices = ask(body(ALL, PROMPT)).get("choices");
    var texts = Stream.of(0, 1, 2).map(index -> text(choices.get(index)).replace("null", "")).toList();
    check(texts.equals(ALL_TEXTS), choices);
    return choices.at("/1/message/refusal").asText();
  }

  private String allStreamed() throws Exception {
    List<String> texts = new ArrayList<>(List.of("", "", ""));
    var refusal = new StringBuilder();
    for (var chunk : stream(body(ALL, PROMPT)).toList()) {
      for (var choice : chunk.get("choices")) {
        int index = choice.get("index").asInt();
        texts.set(index, texts.get(index) + choice.at("/delta/content").asText(""));
        refusal.append(choice.at("/delta/refusal").asText(""));
      }
    }
    check(texts.equals(ALL_TEXTS) && !refusal.isEmpty(), texts);
    return refusal.toString();
  }

  private String race() throws Exception {
    var answer = ask(body("slow, gpt", PROMPT).put("fastest_response", true));
    check(answer.get("model").asText().equals("gpt"), answer);
    return text(answer.at("/choices/0"));
  }

  private String tools(String model) throws Exception {
    var body = body(model, QUESTION);
    var function = body.putArray("tools").addObject().put("type", "function").putObject("function");
    function.put("name", "get_weather");
    var schema = function.putObject("parameters").put("type", "object");
    schema.putObject("properties").putObject("city").put("type", "string");
    schema.putArray("required").add("city");
    var message = ask(body).at("/choices/0/message");
    check(message.path("tool_calls").size() == 2, message);
    var messages = (ArrayNode) body.get("messages");
    messages.add(message);
    for (var call : message.get("tool_calls")) {
      var city = JSON.readTree(call.at("/function/arguments").asText()).get("city").asText();
      var result = messages.addObject().put("role", "tool").put("content", "7 degrees in " + city);
      result.set("tool_call_id", call.get("id"));
    }
    return checkWeather(text(ask(body).at("/choices/0")));
  }

  private String failure(String model, int status) throws Exception {
    return ask(body(model, PROMPT), status).at("/error/code").asText();
  }

  private String cancelled() throws Exception {
    long chunks;
    try (var stream = stream(body("endless", PROMPT))) {
      chunks = stream.limit(4).count();
    }
    settle();
    return "after " + chunks + " chunks";
  }
}
