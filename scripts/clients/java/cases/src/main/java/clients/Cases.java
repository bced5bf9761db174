package clients;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.function.Predicate;
import java.util.regex.Pattern;

/** What the Java clients share: runs each case, which returns a text to show, and prints its result. */
public final class Cases {
  public static final ObjectMapper JSON = new ObjectMapper();
  public static final String PROMPT = "Say hello.";
  public static final String QUESTION = "What is the weather in Oslo and in Bergen?";
  public static final String ALL = "slow, broken, gpt";
  public static final List<String> ALL_TEXTS = List.of("Hello from slow.", "", "Hello from gpt-4o.");
  public static final int TOKENS = 7;

  private static final Map<String, String> VENDORS = new LinkedHashMap<>();

  static {
    VENDORS.put("OpenAI", "gpt");
    VENDORS.put("Anthropic", "claude");
    VENDORS.put("Gemini", "gemini");
  }

  /** A case for one model name. */
  public interface ForModel {
    String run(String model) throws Exception;
  }

  private final String client;
  private final Map<String, Callable<String>> cases = new LinkedHashMap<>();

  /** The cases of the client whose main library is this artifact. */
  public Cases(String artifact) {
    this(artifact, "");
  }

  /** The same, with the name of what it is used with. */
  public Cases(String artifact, String use) {
    var jar = Pattern.compile(Pattern.quote(artifact) + "-(\\d[^/]*)\\.jar");
    var found = jar.matcher(System.getProperty("java.class.path"));
    var version = found.find() ? found.group(1) : System.getProperty("java.version");
    client = artifact + " " + version + (use.isEmpty() ? "" : ", " + use) + " (Java)";
  }

  public Cases add(String name, Callable<String> run) {
    cases.put(name, run);
    return this;
  }

  /** Adds one case for each kind of upstream; tools are also tried with a Claude that thinks. */
  public Cases forEachVendor(String name, ForModel run) {
    VENDORS.forEach((vendor, model) -> add(name + ", " + vendor, () -> run.run(model)));
    return name.equals("tools") ? add("tools, Claude that thinks", () -> run.run("thinker")) : this;
  }

  public void run() throws Exception {
    for (var one : cases.entrySet()) {
      String result = "";
      String fault = "";
      try {
        result = one.getValue().call();
      } catch (Exception | AssertionError raised) {
        fault = raised.toString();
      }
      var line = Map.of("client", client, "case", one.getKey(), "result", result, "fault", fault);
      System.out.println(JSON.writeValueAsString(line));
    }
    System.exit(0); // some clients leave threads behind
  }

  public static void check(boolean condition, Object found) {
    if (!condition) {
      throw new AssertionError(String.valueOf(found));
    }
  }

  /** Checks that the text has the tool's result for both cities, and returns it. */
  public static String checkWeather(String text) {
    check(text.contains("7 degrees in Oslo") && text.contains("7 degrees in Bergen"), text);
    return text;
  }

  /** Checks the text of a client that takes all chunks for those of one choice. */
  public static String checkMixed(String text) {
    for (var word : List.of("Hello", "from", "slow.", "gpt-4o.")) {
      check(text.contains(word), text);
    }
    return "mixed";
  }

  /** Checks that `run` raises an error of this class, and returns its message. */
  public static <E extends Throwable> String checkRaises(
      Class<E> kind, Predicate<E> isRight, Callable<?> run) throws Exception {
    try {
      run.call();
    } catch (Throwable raised) {
      for (Throwable one = raised; one != null; one = one.getCause()) {
        if (kind.isInstance(one)) {
          check(isRight.test(kind.cast(one)), one);
          return one.getClass().getSimpleName();
        }
      }
      throw new AssertionError(raised);
    }
    throw new AssertionError("no error was raised");
  }

  /** Gives the gateway the time to disconnect from the upstream. */
  public static void settle() throws InterruptedException {
    Thread.sleep(300);
  }
}
