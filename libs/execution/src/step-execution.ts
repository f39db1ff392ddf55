import type { Backplane } from '@tyrum/backplane';
import { agentKeyOf, isConversationKey, payloadFingerprint, type Action } from '@tyrum/protocol';
import type { StateStore } from '@tyrum/statestore';
import type {
  ConversationStore,
  MessageRow,
  NewMessage,
  OpenTurn,
  StepRow,
  TranscriptRow,
  TurnRow,
} from '@tyrum/statestore/turns';
import type { ApprovalGate } from './approval-gate';
import type { StepContext, StepExecutor, StepOutcome, StepRequest, TranscriptMessage } from './step-executor';
import { actionOf } from './parsed-rows';
import { isSettled } from './turn-progress';
import type { ModelStepResult } from './turn-driver';

/** What came of executing a step, and what belongs into the same commit. */
export interface StepReport {
  readonly outcome: StepOutcome;
  readonly durationMs: number;
  /** A message for a conversation's transcript. */
  readonly post?: NewMessage;
}

/** The newest messages a model call sees. */
const TRANSCRIPT_MESSAGES = 200;

/** Executes steps: hands them to the executor with what they may know, and streams replies to whoever watches. */
export class StepExecution {
  constructor(
    private readonly executor: StepExecutor,
    private readonly store: StateStore,
    private readonly conversations: ConversationStore,
    private readonly backplane: Backplane,
    private readonly gate?: Pick<ApprovalGate, 'hold'>,
  ) {}

  /** Runs one attempt, until `stop` is aborted. A throw of the executor becomes a failed step: the turn ends and says why. */
  async run(open: OpenTurn, step: StepRow, token: number, stop: AbortController): Promise<StepReport> {
    const startedAt = performance.now();
    const action = actionOf(step);
    const held = this.gate && (await this.gate.hold(open.turn, step, action));
    if (held) return { outcome: held, durationMs: 0 };
    if (action.type === 'Message') return this.postMessage(open.turn, step, action);
    const outcome = await this.execute(open.turn, this.request(open, step, action, token), stop);
    return { outcome, durationMs: Math.round(performance.now() - startedAt) };
  }

  /** What an attempt that was cut off came to, where that can be found out. */
  async recover(open: OpenTurn, step: StepRow, token: number): Promise<StepReport | undefined> {
    const action = actionOf(step);
    if (action.type === 'Message') return undefined;
    const outcome = await this.executor.recover?.(this.request(open, step, action, token));
    return outcome && { outcome, durationMs: 0 };
  }

  /** Closes the reply's stream once its turn's end is committed. */
  ended(turn: TurnRow, status: string): void {
    if (turn.kind !== 'chat') return;
    this.publish(
      turn,
      status === 'succeeded' ? { stage: 'done' } : { stage: 'error', error: { message: `the turn ${status}` } },
    );
  }

  private async execute(turn: TurnRow, request: StepRequest, stop: AbortController): Promise<StepOutcome> {
    const context: StepContext = {
      // A signal is made when it is first asked for, and few steps ask.
      get signal() {
        return stop.signal;
      },
      stream: (chunk) => this.publish(turn, { stage: 'chunk', chunk }),
    };
    try {
      if (this.executor.handles(request.action)) return await this.executor.execute(request, context);
      const message = `no executor runs ${request.action.type} here`;
      return { kind: 'failed', error: { code: 'not_executable', message }, retryable: false };
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      return { kind: 'failed', error: { code: 'internal', message }, retryable: false };
    }
  }

  private request(open: OpenTurn, step: StepRow, action: Action, token: number): StepRequest {
    const { turn } = open;
    return {
      tenantId: turn.tenant_id,
      conversationKey: turn.conversation_key,
      agentKey: agentKeyOf(turn.conversation_key),
      turnId: turn.turn_id,
      stepIndex: step.step_index,
      attempt: step.attempts,
      action,
      chosenBy: turn.kind === 'chat' ? 'model' : 'caller',
      effect: step.effect,
      // A hash, and only what has an effect needs it.
      get idempotencyKey() {
        return idempotencyKeyOf(turn, step, action);
      },
      fencingToken: token,
      transcript: () => this.transcript(open),
    };
  }

  /** The committed messages, then what this turn has said and done so far. */
  private async transcript({ turn, steps }: OpenTurn): Promise<TranscriptMessage[]> {
    const ref = { tenantId: turn.tenant_id, conversationKey: turn.conversation_key };
    const rows = await this.store.read((db) =>
      this.conversations.transcript(db, ref, turn.turn_id, TRANSCRIPT_MESSAGES),
    );
    const before = rows.filter((row) => row.delivered_step === null);
    const meanwhile = rows.filter((row) => row.delivered_step !== null);
    return [...before.map(toTranscript), ...turnTranscript(steps, meanwhile)];
  }

  /** A message step is a write to our own database: it happens in the commit of its result, exactly once. */
  private postMessage(turn: TurnRow, step: StepRow, action: Action): Promise<StepReport> {
    const { conversation_key: target, text } = action.args as { conversation_key: string; text: string };
    if (!isConversationKey(target)) {
      const error = { code: 'invalid_request', message: `"${target}" is not a conversation key` };
      return Promise.resolve({ outcome: { kind: 'failed', error, retryable: false }, durationMs: 0 });
    }
    const messageId = `${turn.turn_id}:${step.step_index}`;
    const post: NewMessage = {
      tenant_id: turn.tenant_id,
      conversation_key: target,
      message_id: messageId,
      turn_id: turn.turn_id,
      role: 'assistant',
      parts: JSON.stringify([{ type: 'text', text }]),
      metadata: null,
    };
    return Promise.resolve({ outcome: { kind: 'succeeded', result: { message_id: messageId } }, durationMs: 0, post });
  }

  /** The stream's id is the turn's, and so is the final message's: any edge can name both without asking. */
  private publish(turn: TurnRow, stage: object): void {
    const message = {
      tenant_id: turn.tenant_id,
      agent_key: agentKeyOf(turn.conversation_key),
      conversation_id: turn.conversation_key,
      stream_id: turn.turn_id,
      ...stage,
    };
    this.backplane.publish('stream', JSON.stringify(message));
  }
}

/** The caller's own key, or the step's place: the same for every attempt, and for a redriven turn as for the dead one. */
function idempotencyKeyOf(turn: TurnRow, step: StepRow, action: Action): string {
  return (
    action.idempotency_key ??
    `tyrum-${payloadFingerprint([turn.tenant_id, turn.origin_turn_id ?? turn.turn_id, step.step_index]).slice(0, 32)}`
  );
}

function toTranscript(row: MessageRow): TranscriptMessage {
  return { role: row.role, parts: JSON.parse(row.parts) as TranscriptMessage['parts'] };
}

/**
 * Model calls and tool results of an unfinished reply, as parts the model understands, with the messages that came
 * meanwhile where the model met them.
 */
function turnTranscript(steps: readonly StepRow[], meanwhile: readonly TranscriptRow[]): TranscriptMessage[] {
  const messages: TranscriptMessage[] = [];
  let waiting: { call_id: string; tool: string }[] = [];
  for (const step of steps) {
    messages.push(...meanwhile.filter((row) => row.delivered_step === step.step_index).map(toTranscript));
    // The model call this is for has said nothing yet.
    if (!isSettled(step)) continue;
    if (actionOf(step).type === 'Llm') {
      const result = JSON.parse(step.result ?? '{"text":"","calls":[]}') as ModelStepResult;
      const calls = result.calls.map(({ call_id, tool, input }) => ({
        type: 'tool-call',
        tool_call_id: call_id,
        tool_name: tool,
        input,
      }));
      messages.push({ role: 'assistant', parts: [{ type: 'text', text: result.text }, ...calls] });
      for (const call of result.calls.filter((c) => c.error)) messages.push(toolResult(call, { error: call.error }));
      waiting = result.calls.filter((call) => call.action);
    } else {
      const call = waiting.shift();
      if (call) messages.push(toolResult(call, JSON.parse(step.result ?? step.error ?? 'null')));
    }
  }
  return messages;
}

function toolResult(call: { call_id: string; tool: string }, output: unknown): TranscriptMessage {
  return { role: 'tool', parts: [{ type: 'tool-result', tool_call_id: call.call_id, tool_name: call.tool, output }] };
}
