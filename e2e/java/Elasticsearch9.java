import java.nio.file.Path;
import java.util.Map;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginsLoader;

/** A single Elasticsearch 9 node from the server's jars: HOME CONFIG SETTING=VALUE... */
public class Elasticsearch9 {
  public static void main(String[] args) throws Exception {
    LogConfigurator.configureESLogging();
    LogConfigurator.setNodeName("node");
    Settings.Builder settings = Settings.builder();
    for (int i = 2; i < args.length; i++) {
      String[] pair = args[i].split("=", 2);
      settings.put(pair[0], pair[1]);
    }
    Environment environment = new Environment(settings.build(), Path.of(args[1]));
    Path home = Path.of(args[0]);
    PluginsLoader plugins =
        PluginsLoader.createPluginsLoader(
            PluginsLoader.loadModulesBundles(home.resolve("modules"), true),
            PluginsLoader.loadPluginsBundles(home.resolve("plugins"), true),
            Map.of());
    Node node = new Node(environment, plugins);
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
