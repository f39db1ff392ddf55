import { randomUUID } from 'node:crypto';
import type { FactoryProvider } from '@nestjs/common';
import { ArtifactStore } from '@tyrum/evidence';
import { TurnReader } from '@tyrum/execution';
import { DrainSequence, LOGGER, type Logger } from '@tyrum/platform';
import { GatewayMetrics } from './gateway-metrics';
import type { ApprovalStatus } from '@tyrum/protocol';
import { RefusalAudit } from './limits/refusal-audit';
import { approvalTools } from './mcp/approval-tools';
import { conversationTools } from './mcp/conversation-tools';
import { McpDoor } from './mcp/mcp-door';
import { McpResources } from './mcp/mcp-resources';
import { McpServers } from './mcp/mcp-servers';
import { turnTools } from './mcp/turn-tools';
import { TurnWaits } from './mcp/turn-waits';
import { ArtifactDesk } from './operations/artifact-desk';
import { Chats } from './operations/chats';
import { Gates } from './operations/gates';
import { Workflows } from './operations/workflows';
import { EventFanOut } from './ws/event-fan-out';

const OPEN_APPROVALS: ReadonlySet<ApprovalStatus> = new Set(['queued', 'reviewing', 'awaiting_human']);

/** The door for clients of the Model Context Protocol. */
export const mcpProviders: FactoryProvider[] = [
  {
    provide: TurnWaits,
    inject: [TurnReader, Gates, EventFanOut, DrainSequence, GatewayMetrics],
    useFactory: (
      reader: TurnReader,
      gates: Gates,
      ...[fanOut, drain, metrics]: [EventFanOut, DrainSequence, GatewayMetrics]
    ) => {
      const isOpen = async (tenantId: string, approvalId: string): Promise<boolean> =>
        OPEN_APPROVALS.has((await gates.get(tenantId, approvalId)).status);
      const waits = new TurnWaits(reader, fanOut.turns, isOpen);
      metrics.watchTurnWaits(() => waits.size);
      drain.register('stopClaiming', 'waits for turns', () => waits.stop());
      return waits;
    },
  },
  {
    provide: McpResources,
    inject: [Chats, ArtifactDesk, ArtifactStore],
    useFactory: (chats: Chats, desk: ArtifactDesk, artifacts: ArtifactStore) =>
      new McpResources({ chats, desk, artifacts }),
  },
  {
    provide: McpServers,
    inject: [Workflows, TurnReader, ArtifactDesk, TurnWaits, Chats, Gates, McpResources, RefusalAudit, LOGGER],
    useFactory: (
      ...[workflows, reader, desk, waits, chats, gates, resources, audit, logger]: [
        Workflows,
        TurnReader,
        ArtifactDesk,
        TurnWaits,
        Chats,
        Gates,
        McpResources,
        RefusalAudit,
        Logger,
      ]
    ) => {
      const tools = [
        ...turnTools({ workflows, reader, desk, waits }),
        ...conversationTools(chats),
        ...approvalTools(gates),
      ];
      return new McpServers({ tools, resources, audit, logger, newId: randomUUID });
    },
  },
  {
    provide: McpDoor,
    inject: [McpServers, LOGGER],
    useFactory: (servers: McpServers, logger: Logger) => new McpDoor(servers, logger, randomUUID),
  },
];
