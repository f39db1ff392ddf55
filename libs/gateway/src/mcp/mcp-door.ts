import type { Logger } from '@tyrum/platform';
import type { Principal } from '@tyrum/identity';
import { isUuid } from '@tyrum/protocol';
import type { Request, Response } from 'express';
import { badInput, HttpProblem } from '../http/http-problem';
import { McpServers } from './mcp-servers';

/** One POST to the door, past authentication and parsing. */
export interface McpPost {
  readonly caller: Principal;
  readonly request: Request;
  readonly response: Response;
  readonly stillHolds: () => Promise<boolean>;
}

interface Message {
  readonly id?: string | number;
  readonly method?: string;
  readonly params?: { readonly requestId?: string | number };
}

const SESSION = 'Mcp-Session-Id';

/**
 * The Model Context Protocol over streamable HTTP, without sessions: each POST is answered by a server of its own, made for it
 * and gone with it, so that any edge can answer the next one and a restart is not noticed. What lasts is in the database.
 *
 * `Mcp-Session-Id` is given all the same, and is only a name: it tells two clients of one token apart, so that taking a call
 * back takes back the right one. An edge that does not know the name, or the call, goes on; what waits ends by itself.
 */
export class McpDoor {
  private sdk: Promise<typeof import('./mcp-sdk')> | undefined;
  private readonly calls = new Map<string, () => void>();

  constructor(
    private readonly servers: McpServers,
    private readonly logger: Logger,
    private readonly newId: () => string,
  ) {}

  /** Answers; resolves when the answer is written. @throws {HttpProblem} {ContractError} before anything was written */
  async answer(post: McpPost): Promise<void> {
    const { request, response, caller } = post;
    requireAccept(request);
    const sdk = await this.load();
    const body: unknown = request.body;
    if (Array.isArray(body)) throw badInput('body', 'single', 'must be one message and not several');
    const message = sdk.JSONRPCMessageSchema.safeParse(body);
    if (!message.success) throw badInput('body', 'jsonRpc', 'must be a JSON-RPC 2.0 message');
    const version = request.get('Mcp-Protocol-Version');
    if (version !== undefined && !sdk.SUPPORTED_PROTOCOL_VERSIONS.includes(version)) {
      throw badInput('Mcp-Protocol-Version', 'isIn', `must be one of ${sdk.SUPPORTED_PROTOCOL_VERSIONS.join(', ')}`);
    }
    const { id, method, params } = body as Message;
    if (method === 'notifications/cancelled') this.takeBack(callName(caller, request, params?.requestId));
    if (sdk.isInitializeRequest(body)) response.setHeader(SESSION, this.newId());
    await this.serve(sdk, post, method === undefined ? undefined : callName(caller, request, id));
  }

  private async serve(sdk: typeof import('./mcp-sdk'), post: McpPost, call: string | undefined): Promise<void> {
    const { request, response } = post;
    // Who left meanwhile is answered nothing, and its call would be kept for ever: its end has been.
    if (response.destroyed) return;
    const server = this.servers.make(sdk, post);
    server.onerror = (error) => this.logger.debug({ err: error }, 'an MCP message was refused');
    const end = (): void => void server.close();
    if (call !== undefined && !this.calls.has(call)) this.calls.set(call, end);
    response.once('close', () => {
      if (call !== undefined && this.calls.get(call) === end) this.calls.delete(call);
      end();
    });
    const transport = new sdk.StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
    await server.connect(transport as Parameters<typeof server.connect>[0]);
    await transport.handleRequest(request, response, request.body);
  }

  private takeBack(call: string | undefined): void {
    if (call !== undefined) this.calls.get(call)?.();
  }

  /** Loaded when first asked for; a load that failed is tried again. */
  private load(): Promise<typeof import('./mcp-sdk')> {
    this.sdk ??= import(/* webpackMode: "eager" */ './mcp-sdk').catch((error: unknown) => {
      this.sdk = undefined;
      throw error;
    });
    return this.sdk;
  }
}

/** @throws {HttpProblem} 406 */
function requireAccept(request: Request): void {
  const accept = request.get('Accept') ?? '';
  if (accept.includes('application/json') && accept.includes('text/event-stream')) return;
  throw new HttpProblem(406, 'invalid_request', 'accept both application/json and text/event-stream');
}

/** A call by who made it. Without a session's name nobody can take it back. */
function callName(caller: Principal, request: Request, id: unknown): string | undefined {
  const session = request.get(SESSION) ?? '';
  return isUuid(session) && id !== undefined ? JSON.stringify([caller.tokenId, session, id]) : undefined;
}
