import { createServer } from 'node:http';
import { ExpressAdapter } from '@nestjs/platform-express';

/** What one client may hold of an HTTP server. Durations in ms. */
export interface HttpLimits {
  /** A request's head has to be in by then; also the first one on a connection that says nothing. Then 408, and closed. */
  readonly headersMs: number;
  /** All of a request has to be in by then. */
  readonly requestMs: number;
  /** How long a connection may wait for its next request. */
  readonly keepAliveMs: number;
  /** How often it is looked who is late. */
  readonly checkMs: number;
  /** Connections at once, upgraded ones included; more are closed as they come. */
  readonly maxConnections: number;
}

export const HTTP_LIMITS: HttpLimits = Object.freeze({
  headersMs: 10_000,
  requestMs: 60_000,
  // Longer than the idle timeout of the usual proxies (60 s), so that it is never us who closes under a new request.
  keepAliveMs: 65_000,
  // Node looks twice a minute by itself, which would make 40 s of the 10.
  checkMs: 1_000,
  // More than an edge takes WebSockets, so that it can say no to one too many.
  maxConnections: 25_000,
});

/** Express on a server that slow and many clients do not exhaust. Nest's own adapter makes one without options. */
export class BoundedExpressAdapter extends ExpressAdapter {
  constructor(private readonly limits: HttpLimits = HTTP_LIMITS) {
    super();
  }

  override initHttpServer(): void {
    const { headersMs, requestMs, keepAliveMs, checkMs, maxConnections } = this.limits;
    const options = {
      headersTimeout: headersMs,
      requestTimeout: requestMs,
      keepAliveTimeout: keepAliveMs,
      connectionsCheckingInterval: checkMs,
    };
    this.httpServer = createServer(options, this.getInstance() as Parameters<typeof createServer>[1]);
    this.httpServer.maxConnections = maxConnections;
  }
}
