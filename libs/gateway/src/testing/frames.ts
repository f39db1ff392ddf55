import type { ArtifactRef } from '@tyrum/protocol';

/** A conversation as far as tests look. */
export interface SeenConversation {
  readonly conversation_id: string;
}

/** A turn of a list or a detail, as far as tests look. */
export interface SeenTurn {
  readonly turn: { readonly turn_id: string; readonly status: string };
}

/** A pairing as far as tests look. */
export interface SeenPairing {
  readonly pairing_id: number;
  readonly status: string;
  readonly node: { readonly node_id: string; readonly capabilities: readonly { readonly id: string }[] };
}

/** Who is there, as far as tests look. */
export interface SeenEntry {
  readonly instance_id: string;
  readonly role: string;
  readonly mode?: string;
}

/** An approval as far as tests look. */
export interface SeenApproval {
  readonly approval_id: string;
  readonly status: string;
  readonly prompt: string;
}

/** Every result field tests look at, whatever the request: which of them are there, the test knows. */
export interface SeenResult {
  readonly connection_id: string;
  readonly challenge: string;
  readonly client_id: string;
  readonly cursor: string;
  readonly workflow_run_id: string;
  readonly stream_id: string;
  readonly conversation: SeenConversation;
  readonly conversations: readonly SeenConversation[];
  readonly next_cursor?: string;
  readonly turns: readonly SeenTurn[];
  readonly events: readonly { readonly event_id: string }[];
  readonly gap: boolean;
  readonly pairing: SeenPairing;
  readonly entry: SeenEntry;
  readonly approval: SeenApproval;
  readonly approvals: readonly SeenApproval[];
}

/** Every event payload field tests look at. */
export interface SeenPayload {
  readonly code: string;
  readonly turn_id: string;
  readonly reason: string;
  readonly stage: string;
  readonly conversation?: SeenConversation;
  readonly pairing: SeenPairing;
  readonly scoped_token?: string;
  readonly approval: SeenApproval;
  readonly approval_id?: string;
  readonly entry: SeenEntry;
  readonly instance_id: string;
  readonly node_id: string;
  readonly dispatch_id: string;
  readonly artifact: ArtifactRef;
  /** Of an audit event: how many refusals it stands for. */
  readonly count?: number;
}

/** A frame as it came. */
export interface Frame {
  readonly request_id?: string;
  readonly event_id?: string;
  readonly type: string;
  readonly ok?: boolean;
  readonly result: SeenResult;
  readonly error?: {
    readonly code: string;
    readonly message: string;
    readonly details: readonly { readonly field: string }[];
  };
  readonly payload: SeenPayload;
  readonly scope?: Record<string, string>;
  readonly cursor?: string;
}
