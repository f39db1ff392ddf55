import { allows, type Principal } from '@tyrum/identity';
import { validatePayload, type WireErrorBody } from '@tyrum/protocol';
import type { Logger } from '@tyrum/platform';
import { RefusedError, refusalOf, wireErrorOf } from '../failures';
import type { RefusalAudit } from '../limits/refusal-audit';
import type { McpPost } from './mcp-door';
import type { McpResources } from './mcp-resources';
import { shown, type McpCall, type McpTool } from './mcp-tool';

type Sdk = typeof import('./mcp-sdk');
type Server = InstanceType<Sdk['Server']>;

export interface McpServerPorts {
  readonly tools: readonly McpTool[];
  readonly resources: McpResources;
  readonly audit: RefusalAudit;
  readonly logger: Logger;
  readonly newId: () => string;
}

type Poster = Pick<McpPost, 'caller' | 'stillHolds'>;

/** JSON-RPC's range for errors of the implementation; MCP's own is -32002 for a resource that is not there. */
const RESOURCE_NOT_FOUND = -32002;

const INSTRUCTIONS =
  'Tyrum runs turns of agents durably: start_turn or send_message answer once a turn is accepted, wait_for_turn waits for it. ' +
  'Calls that change something take an idempotency_key: after a lost answer call again with the same one and it is done once. ' +
  'A turn that needs attention waits for resolve_approval or resolve_step.';

/** Makes the server that answers one message of one caller. */
export class McpServers {
  private readonly tools: ReadonlyMap<string, McpTool>;
  private readonly listed: ReadonlyMap<string, ReturnType<typeof shown>>;
  private validator: InstanceType<Sdk['AjvJsonSchemaValidator']> | undefined;

  constructor(private readonly ports: McpServerPorts) {
    this.tools = new Map(ports.tools.map((tool) => [tool.name, tool]));
    this.listed = new Map(ports.tools.map((tool) => [tool.name, shown(tool)]));
  }

  make(sdk: Sdk, poster: Poster): Server {
    // One for all: the SDK would compile its own for each server, and each message has a server.
    this.validator ??= new sdk.AjvJsonSchemaValidator();
    const server = new sdk.Server(
      { name: 'tyrum', title: 'Tyrum', version: '1.0.0' },
      { capabilities: { tools: {}, resources: {} }, instructions: INSTRUCTIONS, jsonSchemaValidator: this.validator },
    );
    this.serveTools(sdk, server, poster);
    this.serveResources(sdk, server, poster);
    return server;
  }

  private serveTools(sdk: Sdk, server: Server, { caller, stillHolds }: Poster): void {
    server.setRequestHandler(sdk.ListToolsRequestSchema, () => ({
      tools: [...this.tools.values()]
        .filter(({ scope }) => allows(caller, scope))
        .flatMap(({ name }) => this.listed.get(name) ?? []),
    }));
    server.setRequestHandler(sdk.CallToolRequestSchema, async ({ params }, { signal, sendNotification }) => {
      const tool = this.tools.get(params.name);
      if (!tool) throw new sdk.McpError(sdk.ErrorCode.InvalidParams, 'there is no such tool');
      const progressToken = params._meta?.progressToken;
      const report: McpCall['report'] = (progress, total, message) => {
        if (progressToken === undefined) return;
        const about = { progressToken, progress, message, ...(total === undefined ? {} : { total }) };
        // Best effort: who does not hear of it asks.
        sendNotification({ method: 'notifications/progress', params: about }).catch(() => undefined);
      };
      return this.call(tool, params.arguments ?? {}, { caller, signal, report, stillHolds, newId: this.ports.newId });
    });
  }

  /** What goes wrong is a result too, so that whoever asked reads what to do otherwise. */
  private async call(tool: McpTool, input: unknown, call: McpCall) {
    try {
      const { scope } = tool;
      if (!allows(call.caller, scope)) throw new RefusedError('scope', 'forbidden', `this needs the scope ${scope}`);
      const answer = await tool.run(call, validatePayload(tool.payload, input, 'arguments'));
      return { content: [text(answer)], structuredContent: { ...answer } };
    } catch (error) {
      return { content: [text({ error: this.bodyOf(error, call.caller, tool.name) })], isError: true };
    }
  }

  private serveResources(sdk: Sdk, server: Server, { caller }: Poster): void {
    const { resources } = this.ports;
    const failing = async <T>(method: string, work: () => Promise<T>): Promise<T> => {
      try {
        return await work();
      } catch (error) {
        const { code, message } = this.bodyOf(error, caller, method);
        const number = { not_found: RESOURCE_NOT_FOUND, internal: sdk.ErrorCode.InternalError }[code as string];
        throw new sdk.McpError(number ?? sdk.ErrorCode.InvalidRequest, message, { code });
      }
    };
    server.setRequestHandler(sdk.ListResourceTemplatesRequestSchema, () => ({
      resourceTemplates: resources.templates,
    }));
    server.setRequestHandler(sdk.ListResourcesRequestSchema, ({ params }) =>
      failing('resources/list', () => resources.list(caller, params?.cursor)),
    );
    server.setRequestHandler(sdk.ReadResourceRequestSchema, ({ params }) =>
      failing('resources/read', async () => ({ contents: [await resources.read(caller, params.uri)] })),
    );
  }

  private bodyOf(error: unknown, { tenantId, tokenId }: Principal, subject: string): WireErrorBody {
    const refusal = refusalOf(error);
    if (refusal) this.ports.audit.note({ ...refusal, subject, tenantId, tokenId, door: 'mcp' });
    return wireErrorOf(error, (unexpected) => this.ports.logger.error({ err: unexpected }, 'an MCP call failed'));
  }
}

function text(value: object) {
  return { type: 'text', text: JSON.stringify(value) } as const;
}
