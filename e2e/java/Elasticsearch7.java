import java.nio.file.Path;
import java.util.List;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.Node;
import org.elasticsearch.transport.Netty4Plugin;

/** A single Elasticsearch 7 node from the server's jars: HOME CONFIG SETTING=VALUE... */
public class Elasticsearch7 extends Node {
  Elasticsearch7(Environment environment) {
    super(environment, List.of(Netty4Plugin.class), true);
  }

  public static void main(String[] args) throws Exception {
    Settings.Builder settings = Settings.builder();
    for (int i = 2; i < args.length; i++) {
      String[] pair = args[i].split("=", 2);
      settings.put(pair[0], pair[1]);
    }
    settings.put("transport.type", "netty4").put("http.type", "netty4");
    Elasticsearch7 node = new Elasticsearch7(new Environment(settings.build(), Path.of(args[1])));
    node.start();
    Runtime.getRuntime().addShutdownHook(new Thread(() -> close(node)));
    System.out.println("started");
    Thread.currentThread().join();
  }

  private static void close(Node node) {
    try {
      node.close();
    } catch (Exception e) {
      System.err.println("close failed: " + e);
    }
  }
}
