import { Controller, Get, Header, HttpStatus, Inject, Res } from '@nestjs/common';
import { HealthRegistry, type Readiness } from './health';
import { Metrics } from './metrics';

/** The part of a response the probes use; keeps the web framework's types out of this library. */
interface ProbeResponse {
  status(code: number): unknown;
  setHeader(name: string, value: string): unknown;
}

/** `/livez`, `/readyz`, `/healthz` and `/metrics`, on every app. */
@Controller()
export class ProbesController {
  constructor(
    @Inject(HealthRegistry) private readonly health: HealthRegistry,
    @Inject(Metrics) private readonly metrics: Metrics,
  ) {}

  /** 200 as long as the event loop turns. Depends on nothing outside, so an outage elsewhere kills no process here. */
  @Get('livez')
  @Header('Cache-Control', 'no-store')
  livez(): { status: 'live' } {
    return { status: 'live' };
  }

  /** 200 or 503 with a `Readiness`. */
  @Get(['readyz', 'healthz'])
  @Header('Cache-Control', 'no-store')
  async readyz(@Res({ passthrough: true }) response: ProbeResponse): Promise<Readiness> {
    const readiness = await this.health.readiness();
    response.status(readiness.status === 'ready' ? HttpStatus.OK : HttpStatus.SERVICE_UNAVAILABLE);
    return readiness;
  }

  /** Prometheus text exposition. */
  @Get('metrics')
  async exposition(@Res({ passthrough: true }) response: ProbeResponse): Promise<string> {
    const { contentType, body } = await this.metrics.expose();
    response.setHeader('Content-Type', contentType);
    return body;
  }
}
