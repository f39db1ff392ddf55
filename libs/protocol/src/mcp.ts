import { ArtifactListQuery, artifactUri } from './artifact';
import { TurnCancelBody, TurnResolveBody } from './http';
import { LIMITS } from './limits';
import { ConversationKeyText, OneOf, Optional, Text, TextList, Uuid, WholeNumber } from './payload-fields';
import { ApprovalResolvePayload, ConversationCreatePayload, WorkflowStartPayload } from './requests';

/*
 * What the tools of `/mcp` take. They are the payloads of the other doors, with a field for what is a header or a part of the
 * path there.
 */

/** Calls of a tool with the same key and the same arguments are one: it is done once, and answered alike for 24 hours. */
function Key(): PropertyDecorator {
  const optional = Optional();
  const text = Text(LIMITS.idempotencyKeyLength);
  return (prototype, name) => {
    text(prototype, name);
    optional(prototype, name);
  };
}

export class McpStartTurn extends WorkflowStartPayload {
  @Key()
  idempotency_key?: string;
}

export class McpTurnRef {
  @Uuid()
  turn_id: string;
}

/** When waiting is over: at the turn's end, or already when it needs somebody. */
export const WAIT_GOALS = ['attention', 'end'] as const;
export type WaitGoal = (typeof WAIT_GOALS)[number];

export class McpWaitForTurn extends McpTurnRef {
  @WholeNumber(1, LIMITS.mcpWaitMs)
  timeout_ms: number = LIMITS.mcpWaitDefaultMs;

  @OneOf(WAIT_GOALS)
  until: WaitGoal = 'attention';
}

export class McpCancelTurn extends TurnCancelBody {
  @Uuid()
  turn_id: string;

  @Key()
  idempotency_key?: string;
}

export class McpResolveStep extends TurnResolveBody {
  @Uuid()
  turn_id: string;

  @Key()
  idempotency_key?: string;
}

export class McpListArtifacts extends ArtifactListQuery {
  @Uuid()
  turn_id: string;
}

export class McpCreateConversation extends ConversationCreatePayload {
  @Key()
  idempotency_key?: string;
}

export class McpSendMessage {
  @ConversationKeyText()
  conversation_id: string;

  @Text(LIMITS.messageTextLength)
  text: string;

  /** `artifact://<uuid>`: they belong to the message's turn from then on. */
  @Optional()
  @TextList(LIMITS.artifactsPerMessage, artifactUri('').length + 36)
  artifacts?: string[];

  @Key()
  idempotency_key?: string;
}

export class McpResolveApproval extends ApprovalResolvePayload {
  @Key()
  idempotency_key?: string;
}
