import type { FactoryProvider } from '@nestjs/common';
import type { Backplane } from '@tyrum/backplane';
import { TurnReader } from '@tyrum/execution';
import { BACKPLANE, STATE_STORE } from '@tyrum/execution/nest';
import { TokenStore } from '@tyrum/identity';
import { OutboxReader } from '@tyrum/outbox';
import { CONFIG, LOGGER, type Config, type Logger } from '@tyrum/platform';
import type { StateStore } from '@tyrum/statestore';
import type { GatewayOptions } from './gateway.module';
import { GatewayMetrics } from './gateway-metrics';
import { Chats } from './operations/chats';
import { Workflows } from './operations/workflows';
import { ConnectionDirectory } from './ws/connection-directory';
import { EventFanOut } from './ws/event-fan-out';
import { EventReplay } from './ws/event-replay';
import { FailedAttempts } from './ws/failed-attempts';
import type { HandshakeStamps } from './ws/handshake';
import { RequestDesk } from './ws/request-desk';
import { requestHandlers } from './ws/request-handlers';
import { SocketDoor } from './ws/socket-door';
import { SocketSession } from './ws/socket-session';
import { UpgradeGate } from './ws/upgrade-gate';

/** Injection token of the `GatewayOptions`. */
export const GATEWAY_OPTIONS = Symbol('tyrum.gateway-options');

/** The WebSocket door and what stands behind it. */
export function socketProviders(stamps: HandshakeStamps): FactoryProvider[] {
  const nowMs = (): number => Date.now();
  const { newId } = stamps;
  return [
    { provide: OutboxReader, inject: [STATE_STORE], useFactory: (store: StateStore) => new OutboxReader(store) },
    {
      provide: EventFanOut,
      inject: [OutboxReader, BACKPLANE, ConnectionDirectory, GatewayMetrics, LOGGER],
      useFactory: (
        ...[reader, backplane, directory, metrics, logger]: [
          OutboxReader,
          Backplane,
          ConnectionDirectory,
          GatewayMetrics,
          Logger,
        ]
      ) => new EventFanOut({ reader, backplane, directory, metrics, logger }, { newId, nowMs }),
    },
    {
      provide: EventReplay,
      inject: [OutboxReader, ConnectionDirectory, EventFanOut],
      useFactory: (reader: OutboxReader, directory: ConnectionDirectory, fanOut: EventFanOut) =>
        new EventReplay(reader, directory, fanOut),
    },
    {
      provide: RequestDesk,
      inject: [TokenStore, Workflows, Chats, TurnReader, EventReplay, GatewayMetrics, LOGGER],
      useFactory: (
        ...[tokens, workflows, chats, reader, replay, metrics, logger]: [
          TokenStore,
          Workflows,
          Chats,
          TurnReader,
          EventReplay,
          GatewayMetrics,
          Logger,
        ]
      ) =>
        new RequestDesk({ tokens, handlers: requestHandlers({ workflows, chats, reader, replay }), metrics, logger }),
    },
    {
      provide: SocketSession,
      inject: [RequestDesk, EventReplay, LOGGER],
      useFactory: (desk: RequestDesk, replay: EventReplay, logger: Logger) =>
        new SocketSession({ desk, replay, logger, newId, nowMs }),
    },
    {
      provide: UpgradeGate,
      inject: [TokenStore, GATEWAY_OPTIONS],
      useFactory: (tokens: TokenStore, options: GatewayOptions) =>
        new UpgradeGate(tokens, new FailedAttempts(nowMs), new Set(options.allowedOrigins)),
    },
    {
      provide: SocketDoor,
      inject: [
        UpgradeGate,
        TokenStore,
        ConnectionDirectory,
        SocketSession,
        EventFanOut,
        GatewayMetrics,
        LOGGER,
        CONFIG,
        GATEWAY_OPTIONS,
      ],
      useFactory: (
        ...[gate, tokens, directory, session, fanOut, metrics, logger, config, options]: [
          UpgradeGate,
          TokenStore,
          ConnectionDirectory,
          SocketSession,
          EventFanOut,
          GatewayMetrics,
          Logger,
          Config,
          GatewayOptions,
        ]
      ) =>
        new SocketDoor(
          { gate, tokens, directory, session, fanOut, metrics, logger },
          { ...options, stamps, edgeId: config.instanceId },
        ),
    },
  ];
}
