import type { OutboxLag } from '@tyrum/outbox';
import type { Metrics } from '@tyrum/platform';
import type { LimitedBy } from './limits/admission';

/** What the gateway counts. Labels are request types, outcomes and close codes: all bounded. */
export class GatewayMetrics {
  private readonly requests;
  private readonly durations;
  private readonly events;
  private readonly accepts;
  private readonly closes;
  private readonly refusedUpgrades;
  private readonly directed;
  private readonly gaps;
  private readonly limited;
  private readonly refusals;
  private lag: OutboxLag = { stallMs: 0, oldestWriterMs: 0, rowsBehind: 0 };

  /** @param connections how many are established now */
  constructor(
    private readonly metrics: Metrics,
    connections: () => number,
  ) {
    metrics.gauge('tyrum_gateway_connections', 'WebSocket connections that are past the handshake.', {
      collect: (gauge) => gauge.set(connections()),
    });
    this.requests = metrics.counter('tyrum_gateway_requests_total', 'Requests answered.', ['door', 'type', 'outcome']);
    this.durations = metrics.histogram('tyrum_gateway_request_duration_seconds', 'From request to answer.', {
      labels: ['door', 'type'],
    });
    const lagGauge = (name: `tyrum_outbox_${string}`, help: string, value: (lag: OutboxLag) => number) =>
      metrics.gauge(name, help, { collect: (gauge) => gauge.set(value(this.lag)) });
    lagGauge(
      'tyrum_outbox_stall_seconds',
      'Age of the oldest event that waits for an open transaction.',
      (lag) => lag.stallMs / 1_000,
    );
    lagGauge(
      'tyrum_outbox_oldest_writer_seconds',
      'Age of the oldest open transaction that has written.',
      (lag) => lag.oldestWriterMs / 1_000,
    );
    lagGauge(
      'tyrum_outbox_rows_behind',
      'Readable rows of events this edge has not handled; counted up to 10,000.',
      (lag) => lag.rowsBehind,
    );
    this.gaps = metrics.counter('tyrum_outbox_gaps_total', 'Times retention or a restore overtook this edge.');
    this.directed = metrics.counter('tyrum_gateway_directed_total', 'Messages for single connections.', ['outcome']);
    this.events = metrics.counter('tyrum_gateway_events_sent_total', 'Events handed to sockets.');
    this.accepts = metrics.counter('tyrum_gateway_accepts_total', 'Turns asked for, by what became of it.', [
      'outcome',
    ]);
    this.limited = metrics.counter('tyrum_gateway_rate_limited_total', 'Requests refused by a rate limit.', ['by']);
    this.refusals = metrics.counter('tyrum_gateway_refusals_total', 'Refusals, as they are audited.', [
      'door',
      'reason',
    ]);
    this.closes = metrics.counter('tyrum_gateway_closes_total', 'WebSockets we closed.', ['code']);
    this.refusedUpgrades = metrics.counter('tyrum_gateway_upgrades_refused_total', 'Upgrades refused.', ['status']);
  }

  /** Shows how many calls wait for a turn. */
  watchTurnWaits(count: () => number): void {
    this.metrics.gauge('tyrum_gateway_turn_waits', 'Calls that wait for a turn.', {
      collect: (gauge) => gauge.set(count()),
    });
  }

  /** @param request.outcome `ok` or an error code; `type` one of the catalogue or a route pattern */
  answered(request: { door: 'ws' | 'http'; type: string; outcome: string }, seconds: number): void {
    this.requests.inc(request);
    this.durations.observe({ door: request.door, type: request.type }, seconds);
  }

  eventsSent(count: number): void {
    this.events.inc(count);
  }

  /** How far the outbox is behind, measured now and then: a scrape must not wait for the database. */
  outboxLag(lag: OutboxLag): void {
    this.lag = lag;
  }

  outboxGap(): void {
    this.gaps.inc();
  }

  directedSettled(outcome: 'delivered' | 'not_connected' | 'returned', count: number): void {
    if (count > 0) this.directed.inc({ outcome }, count);
  }

  accepted(outcome: 'accepted' | 'replayed' | 'conflict' | 'overloaded' | 'failed'): void {
    this.accepts.inc({ outcome });
  }

  closed(code: number): void {
    this.closes.inc({ code: String(code) });
  }

  rateLimited(by: LimitedBy): void {
    this.limited.inc({ by });
  }

  /** @param refusal.reason one of a few stable words */
  refused({ door, reason }: { door: string; reason: string }): void {
    this.refusals.inc({ door, reason });
  }

  upgradeRefused(status: number): void {
    this.refusedUpgrades.inc({ status: String(status) });
  }
}
