import type { Metrics } from '@tyrum/platform';

/** What the gateway counts. Labels are request types, outcomes and close codes: all bounded. */
export class GatewayMetrics {
  private readonly requests;
  private readonly durations;
  private readonly events;
  private readonly accepts;
  private readonly closes;
  private readonly refusedUpgrades;

  /** @param connections how many are established now */
  constructor(metrics: Metrics, connections: () => number) {
    metrics.gauge('tyrum_gateway_connections', 'WebSocket connections that are past the handshake.', {
      collect: (gauge) => gauge.set(connections()),
    });
    this.requests = metrics.counter('tyrum_gateway_requests_total', 'Requests answered.', ['door', 'type', 'outcome']);
    this.durations = metrics.histogram('tyrum_gateway_request_duration_seconds', 'From request to answer.', {
      labels: ['door', 'type'],
    });
    this.events = metrics.counter('tyrum_gateway_events_sent_total', 'Events handed to sockets.');
    this.accepts = metrics.counter('tyrum_gateway_accepts_total', 'Turns asked for, by what became of it.', [
      'outcome',
    ]);
    this.closes = metrics.counter('tyrum_gateway_closes_total', 'WebSockets we closed.', ['code']);
    this.refusedUpgrades = metrics.counter('tyrum_gateway_upgrades_refused_total', 'Upgrades refused.', ['status']);
  }

  /** @param request.outcome `ok` or an error code; `type` one of the catalogue or a route pattern */
  answered(request: { door: 'ws' | 'http'; type: string; outcome: string }, seconds: number): void {
    this.requests.inc(request);
    this.durations.observe({ door: request.door, type: request.type }, seconds);
  }

  eventsSent(count: number): void {
    this.events.inc(count);
  }

  accepted(outcome: 'accepted' | 'replayed' | 'conflict' | 'overloaded' | 'failed'): void {
    this.accepts.inc({ outcome });
  }

  closed(code: number): void {
    this.closes.inc({ code: String(code) });
  }

  upgradeRefused(status: number): void {
    this.refusedUpgrades.inc({ status: String(status) });
  }
}
