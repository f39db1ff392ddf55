import { randomBytes, randomUUID } from 'node:crypto';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  Inject,
  Module,
  type DynamicModule,
  type FactoryProvider,
  type ModuleMetadata,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { APP_FILTER, APP_INTERCEPTOR, HttpAdapterHost } from '@nestjs/core';
import { AuditKeyModule } from '@tyrum/evidence/nest';
import { TokenStore } from '@tyrum/identity';
import { ControlPlaneModule, STATE_STORE } from '@tyrum/execution/nest';
import { CONFIG, DrainSequence, LOGGER, Metrics, type Config, type Logger, type WireLimits } from '@tyrum/platform';
import { encodeBase64Url, LIMITS } from '@tyrum/protocol';
import type { StateStore } from '@tyrum/statestore';
import type { Application, RequestHandler } from 'express';
import helmet from 'helmet';
import { addressLimit, authentication } from './http/authentication';
import { WebhookCallsController, WebhooksController } from './http/webhooks.controller';
import { serveConsole } from './http/console-files';
import { crossOrigin } from './http/cross-origin';
import { DeviceProofs } from './http/device-proofs';
import { OidcController } from './http/oidc.controller';
import { ownOrigins } from './http/own-origins';
import { SessionController } from './http/session.controller';
import { ApprovalsController } from './http/approvals.controller';
import { ArtifactsController } from './http/artifacts.controller';
import { AuditController } from './http/audit.controller';
import { ClusterController } from './http/cluster.controller';
import { ClaimSharesController } from './http/claim-shares.controller';
import { ConversationsController } from './http/conversations.controller';
import { DocumentsController } from './http/documents.controller';
import { EventsController } from './http/events.controller';
import { NodesController } from './http/nodes.controller';
import { InFlightKeys } from './http/in-flight-keys';
import { ProblemFilter } from './http/problem.filter';
import { httpMetrics, jsonBody, plainUrl, rawBody, requestContext } from './http/request-pipeline';
import { streamedBody } from './http/streamed-body';
import { LeasesController } from './http/leases.controller';
import { DesktopsController } from './http/desktops.controller';
import { SecretsController } from './http/secrets.controller';
import { SchedulesController } from './http/schedules.controller';
import { TenantsController } from './http/tenants.controller';
import { TokensController } from './http/tokens.controller';
import { TurnsController } from './http/turns.controller';
import { WorkflowsController } from './http/workflows.controller';
import { GatewayMetrics } from './gateway-metrics';
import { EdgeLoops } from './edge-loops';
import { domainProviders } from './domain-providers';
import { oidcProviders } from './oidc-providers';
import { limitProviders } from './limit-providers';
import { Admission, type RequestLimits } from './limits/admission';
import { ClientAddresses } from './limits/client-addresses';
import { RefusalAudit } from './limits/refusal-audit';
import { ConnectionDirectory } from './ws/connection-directory';
import { SocketDoor, type SocketDoorOptions } from './ws/socket-door';
import { mcpProviders } from './mcp-providers';
import { knownOrigin, onlyPosts } from './mcp/mcp-requests';
import { McpController } from './mcp/mcp.controller';
import { ALLOWED_ORIGINS, GATEWAY_OPTIONS, WIRE_LIMITS } from './gateway-options';
import { socketProviders } from './socket-providers';

/** What a deployment, or a test, decides about the gateway. */
export interface GatewayOptions extends Partial<Omit<SocketDoorOptions, 'stamps' | 'edgeId' | 'wire'> & WireLimits> {
  /** Exact origins whose pages may use the cookie, besides the edge's own. Default: `TYRUM_ALLOWED_ORIGINS`. */
  readonly allowedOrigins?: readonly string[];
  /** Where the console's files lie. Without it there is no console. */
  readonly consoleFolder?: string;
  /** How long a request's body may take, in ms. Default: 30 s. */
  readonly bodyMs?: number;
  /** How long an artifact's bytes may stand still, up or down, in ms. Default: 60 s. */
  readonly artifactStallMs?: number;
  /** Requests in ten seconds. Default: `TYRUM_RATE_PER_*`. */
  readonly limits?: Partial<RequestLimits>;
  /** Modules that export `SCHEDULES_PORT`. */
  readonly imports?: ModuleMetadata['imports'];
}

/**
 * Puts our steps in front of the body parser that the app installs: this runs while Nest makes its providers, before
 * `runApp` adds the parser. Authentication before parsing, and the depth limit, depend on that order.
 */
const httpPipeline: FactoryProvider = {
  provide: Symbol('tyrum.http-pipeline'),
  inject: [
    HttpAdapterHost,
    TokenStore,
    DeviceProofs,
    ALLOWED_ORIGINS,
    GatewayMetrics,
    Admission,
    ClientAddresses,
    RefusalAudit,
    GATEWAY_OPTIONS,
    WIRE_LIMITS,
  ],
  useFactory: (
    { httpAdapter }: HttpAdapterHost,
    tokens: TokenStore,
    proofs: DeviceProofs,
    ...[allowedOrigins, metrics, admission, addresses, audit, options, wire]: [
      ReadonlySet<string>,
      GatewayMetrics,
      Admission,
      ClientAddresses,
      RefusalAudit,
      GatewayOptions,
      WireLimits,
    ]
  ) => {
    const body = { ...wire, ...options };
    const app = httpAdapter.getInstance<Pick<Application, 'use' | 'set' | 'get' | 'post'>>();
    // Answers are about what changes; hashing each of them for a comparison nobody makes costs more than sending it.
    app.set('etag', false);
    app.use(requestContext());
    app.use(helmet() as RequestHandler);
    app.use(httpMetrics(metrics));
    app.use(plainUrl());
    app.use(['/v1', '/mcp'], crossOrigin(allowedOrigins));
    const ports = { tokens, proofs, admission, addresses, audit, allowedOrigins };
    app.use('/v1', authentication({ ...ports, door: 'http' }));
    app.use('/mcp', onlyPosts(), knownOrigin(allowedOrigins, audit));
    app.use('/mcp', authentication({ ...ports, door: 'mcp' }));
    app.use('/mcp', jsonBody(body));
    app.post('/v1/artifacts', streamedBody());
    app.use('/v1', jsonBody(body));
    app.use('/webhooks', addressLimit(ports, 'webhook'));
    app.use(['/oidc', '/ui'], addressLimit(ports, 'http'));
    app.use('/webhooks', rawBody(options));
    if (options.consoleFolder !== undefined) serveConsole(app, options.consoleFolder);
    return true;
  },
};

/** Binds the gateway's classes and starts them before the process listens. */
@Module({})
export class GatewayModule implements OnApplicationBootstrap {
  constructor(
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
    @Inject(SocketDoor) private readonly door: SocketDoor,
    @Inject(EdgeLoops) private readonly loops: EdgeLoops,
    @Inject(DrainSequence) private readonly drain: DrainSequence,
  ) {}

  static forRoot(options: GatewayOptions = {}): DynamicModule {
    return {
      module: GatewayModule,
      imports: [ControlPlaneModule, AuditKeyModule, ...(options.imports ?? [])],
      controllers: [
        WorkflowsController,
        TurnsController,
        ConversationsController,
        ClaimSharesController,
        EventsController,
        TenantsController,
        WebhooksController,
        WebhookCallsController,
        TokensController,
        SessionController,
        OidcController,
        SchedulesController,
        SecretsController,
        DesktopsController,
        ArtifactsController,
        DocumentsController,
        LeasesController,
        NodesController,
        McpController,
        ApprovalsController,
        AuditController,
        ClusterController,
      ],
      providers: [
        { provide: GATEWAY_OPTIONS, useValue: options },
        { provide: TokenStore, inject: [STATE_STORE], useFactory: (store: StateStore) => new TokenStore(store) },
        {
          provide: ALLOWED_ORIGINS,
          inject: [CONFIG, HttpAdapterHost],
          useFactory: (config: Config, host: HttpAdapterHost) => {
            const origins = new Set(options.allowedOrigins ?? config.allowedOrigins);
            // Port 0 is any free one, which is known only then.
            host.listen$.subscribe(() => {
              const { port } = (host.httpAdapter.getHttpServer() as Server).address() as AddressInfo;
              for (const origin of ownOrigins(config.host, port)) origins.add(origin);
            });
            return origins;
          },
        },
        {
          provide: DeviceProofs,
          inject: [STATE_STORE],
          useFactory: (store: StateStore) => new DeviceProofs(store, () => Date.now()),
        },
        { provide: ConnectionDirectory, useFactory: () => new ConnectionDirectory() },
        {
          provide: GatewayMetrics,
          inject: [Metrics, ConnectionDirectory],
          useFactory: (metrics: Metrics, directory: ConnectionDirectory) =>
            new GatewayMetrics(metrics, () => directory.size),
        },
        {
          provide: APP_FILTER,
          inject: [LOGGER, RefusalAudit],
          useFactory: (logger: Logger, audit: RefusalAudit) => new ProblemFilter(logger, audit),
        },
        { provide: APP_INTERCEPTOR, useFactory: () => new InFlightKeys() },
        ...domainProviders,
        ...limitProviders,
        ...oidcProviders,
        ...mcpProviders,
        ...socketProviders({
          newId: randomUUID,
          newChallenge: () => encodeBase64Url(randomBytes(LIMITS.challengeBytes)),
        }),
        httpPipeline,
      ],
      exports: [TokenStore],
    };
  }

  /** Events are followed before the first connection can be made, so that none is missed in between. */
  async onApplicationBootstrap(): Promise<void> {
    await this.loops.start();
    this.door.attach(this.host.httpAdapter.getHttpServer() as Server, this.drain);
  }
}
