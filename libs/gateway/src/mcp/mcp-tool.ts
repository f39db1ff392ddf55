import type { Principal } from '@tyrum/identity';
import { payloadFingerprint, payloadSchema, type OperatorScope, type PayloadClass } from '@tyrum/protocol';
import { actorOf, type RequestKey } from '../operations/once';

/** What a tool knows besides its arguments. */
export interface McpCall {
  readonly caller: Principal;
  /** The caller left, or took the call back. */
  readonly signal: AbortSignal;
  /** Tells the caller how it goes, where it asked to be told. */
  readonly report: (progress: number, total: number | undefined, message: string) => void;
  /** Whether the caller's token still holds. For what answers long after it was asked. */
  readonly stillHolds: () => Promise<boolean>;
  readonly newId: () => string;
}

/** What a client may assume of a tool, in the words of the Model Context Protocol. */
export interface ToolHints {
  readonly readOnlyHint: boolean;
  readonly destructiveHint: boolean;
  readonly idempotentHint: boolean;
  readonly openWorldHint: boolean;
}

export interface McpTool<T extends object = object> {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  /** What the caller's token has to carry. Every tool has one: nothing is open to whoever has some token. */
  readonly scope: OperatorScope;
  readonly payload: PayloadClass<T>;
  readonly hints: ToolHints;
  /** @throws {WireError} and whatever else `wireErrorOf` knows */
  readonly run: (call: McpCall, input: T) => Promise<object>;
}

/** Only looks. */
export const READS: ToolHints = Object.freeze({
  readOnlyHint: true,
  destructiveHint: false,
  idempotentHint: true,
  openWorldHint: false,
});

/** Changes what is kept here, without taking anything away. */
export const ADDS: ToolHints = Object.freeze({ ...READS, readOnlyHint: false, idempotentHint: false });

/** Sets things going, or stops them. */
export const ACTS: ToolHints = Object.freeze({ ...ADDS, destructiveHint: true, openWorldHint: true });

export function tool<T extends object>(definition: McpTool<T>): McpTool {
  return Object.freeze(definition) as unknown as McpTool;
}

/** A tool as `tools/list` shows it. */
export function shown({ name, title, description, payload, hints }: McpTool) {
  return {
    name,
    title,
    description,
    inputSchema: payloadSchema(payload) as { type: 'object' },
    annotations: { title, ...hints },
  };
}

/** The name under which a copy of this call is the same call. Without a key each call is its own. */
export function keyOf(
  { caller, newId }: McpCall,
  name: string,
  { idempotency_key: given, ...payload }: object & { readonly idempotency_key?: string },
): RequestKey {
  return {
    tenantId: caller.tenantId,
    route: `mcp:${name}`,
    principal: caller.tokenId,
    actor: actorOf(caller),
    key: given ?? newId(),
    fingerprint: payloadFingerprint(payload),
  };
}
