// Sends spans with the JavaScript SDK: node send_traces.mjs URL COUNT none|gzip
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";

const [url, count, compression] = process.argv.slice(2);
const exporter = new OTLPTraceExporter({ url, compression });
const provider = new BasicTracerProvider({
  resource: resourceFromAttributes({ "service.name": "js-shop" }),
  spanProcessors: [new BatchSpanProcessor(exporter, { maxQueueSize: 100000, maxExportBatchSize: 100 })],
});
const tracer = provider.getTracer("peers");
for (let n = 0; n < Number(count); n++) {
  tracer.startSpan(`js ${n}`, { attributes: { "http.request.method": "GET", number: n, ratio: 0.5 } }).end();
}
await provider.forceFlush();
await provider.shutdown();
