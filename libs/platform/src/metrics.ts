import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

/** A metric's full name as written in dashboards and alerts, so that one search finds all of them. */
export type MetricName = `tyrum_${string}`;

/** What a gauge takes besides name and help. */
export interface GaugeOptions<Label extends string> {
  readonly labels?: readonly Label[];
  /**
   * Called at every scrape to `set` the gauge. Must answer from memory: a scrape that waits for a database is lost
   * exactly when it is needed. What it throws is counted, and the other metrics are served.
   */
  readonly collect?: (gauge: Gauge<Label>) => void | Promise<void>;
}

/** What a histogram takes besides name and help. */
export interface HistogramOptions<Label extends string> {
  readonly labels?: readonly Label[];
  /** Upper bounds in the unit of the metric's name, ascending. Default: 1 ms to 10 s, for names in `_seconds`. */
  readonly buckets?: readonly number[];
}

const LATENCY_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/**
 * The metrics of one process: Node's usual ones (`process_*`, `nodejs_*` with event-loop delay quantiles, under the
 * names that ready-made dashboards expect) and ours. Holds its own registry, so that two apps in one test do not meet.
 * Registering a name twice throws: one metric has one owner. Never label with an unbounded value such as an id.
 */
export class Metrics {
  readonly #registry = new Registry();
  readonly #collectFailures: Counter<'metric'>;

  constructor() {
    collectDefaultMetrics({ register: this.#registry });
    const help = 'Scrapes in which a gauge could not be computed.';
    this.#collectFailures = this.counter('tyrum_metric_collect_failures_total', help, ['metric']);
  }

  /** A number that only grows. The name ends in `_total`. */
  counter<Label extends string = never>(
    name: `${MetricName}_total`,
    help: string,
    labels: readonly Label[] = [],
  ): Counter<Label> {
    return new Counter({ name, help, labelNames: [...labels], registers: [this.#registry] });
  }

  /** A distribution, e.g. of durations in seconds. */
  histogram<Label extends string = never>(
    name: MetricName,
    help: string,
    { labels = [], buckets = LATENCY_BUCKETS_SECONDS }: HistogramOptions<Label> = {},
  ): Histogram<Label> {
    const definition = { name, help, labelNames: [...labels], buckets: [...buckets] };
    return new Histogram({ ...definition, registers: [this.#registry] });
  }

  /** A number that goes up and down. */
  gauge<Label extends string = never>(
    name: MetricName,
    help: string,
    { labels = [], collect }: GaugeOptions<Label> = {},
  ): Gauge<Label> {
    const failures = this.#collectFailures;
    return new Gauge({
      name,
      help,
      labelNames: [...labels],
      registers: [this.#registry],
      ...(collect && {
        async collect(this: Gauge<Label>) {
          try {
            await collect(this);
          } catch {
            failures.inc({ metric: name });
          }
        },
      }),
    });
  }

  /** The Prometheus text exposition of everything, and its content type. */
  async expose(): Promise<{ contentType: string; body: string }> {
    return { contentType: this.#registry.contentType, body: await this.#registry.metrics() };
  }
}
