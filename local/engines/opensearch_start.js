// Starts one OpenSearch node through the runner, on ports of our choice: the runner's own command line ends at 9299.
// Arguments: folder, host, HTTP port, transport port, and further settings as name=value.
const given = Array.from(arguments, String);
const [folder, host, httpPort, transportPort] = given;
const Runner = Packages.org.codelibs.opensearch.runner.OpenSearchRunner;

const runner = new Runner();
runner.onBuild(new Runner.Builder({
  build: function (_number, settings) {
    settings.put("network.host", host);
    settings.put("http.port", httpPort);
    settings.put("transport.port", transportPort);
    given.slice(4).forEach(function (setting) {
      const [name, value] = setting.split("=");
      settings.put(name, value);
    });
  },
}));

const ended = new java.util.concurrent.CountDownLatch(1);
java.lang.Runtime.getRuntime().addShutdownHook(new java.lang.Thread(function () { runner.close(); }));
runner.build(["-basePath", folder, "-numOfNode", "1", "-clusterName", "palimpsest", "-printOnFailure"]);
ended.await();
