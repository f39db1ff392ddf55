import OpenAI from 'openai';
import type {
  ModelStepResult,
  ModelToolCall,
  StepContext,
  StepExecutor,
  StepOutcome,
  StepRequest,
  TranscriptMessage,
} from '@tyrum/execution';
import type { Action, StepResult } from '@tyrum/protocol';
import { toolCallToAction, toolDefinitions } from './model-tools';

/** Any OpenAI-compatible endpoint. */
export interface ModelOptions {
  readonly baseUrl: string;
  readonly model: string;
  readonly apiKey?: string;
}

/** Calls of one reply that are looked at. */
const MAX_CALLS = 128;

/** Characters of one reply, of its text and what its calls say together. The worker holds all of them until the reply ends. */
const MAX_REPLY_CHARACTERS = 4 * 1024 * 1024;

class ReplyTooLargeError extends Error {
  constructor() {
    super(`the reply of the model has more than ${MAX_REPLY_CHARACTERS} characters`);
  }
}

type ChatMessage = OpenAI.Chat.ChatCompletionMessageParam;

/** Runs `Llm` steps: one streamed model call. The tool calls it asks for become steps of their own. */
export class ModelExecutor implements StepExecutor {
  private readonly client: OpenAI;

  constructor(private readonly options: ModelOptions) {
    this.client = new OpenAI({
      baseURL: options.baseUrl,
      apiKey: options.apiKey ?? 'none',
      // Else the package takes them from the environment, which only an app's config may read.
      organization: null,
      project: null,
      // Our retries are durable.
      maxRetries: 0,
    });
  }

  handles(action: Action): boolean {
    return action.type === 'Llm';
  }

  async execute(request: StepRequest, context: StepContext): Promise<StepOutcome> {
    const messages = (await request.transcript()).map(toChatMessage);
    const prompt = (request.action.args as { prompt?: string }).prompt;
    if (prompt) messages.push({ role: 'user', content: prompt });
    const reply = new Reply(context.stream, request.stepIndex);
    try {
      const result = await this.call(messages, reply, context.signal);
      // The package ends the stream of an aborted call as if it were complete.
      if (context.signal.aborted) return { kind: 'interrupted' };
      return { kind: 'succeeded', result: result as unknown as StepResult };
    } catch (error) {
      return toFailure(error, context.signal);
    }
  }

  private async call(
    messages: ChatMessage[],
    reply: Reply,
    signal: AbortSignal,
  ): Promise<ModelStepResult & { model: string; usage?: unknown }> {
    const { model } = this.options;
    const chunks = await this.client.chat.completions.create(
      { model, messages, tools: toolDefinitions(), stream: true, stream_options: { include_usage: true } },
      { signal },
    );
    for await (const chunk of chunks) {
      reply.add(chunk.choices?.[0]?.delta);
      if (chunk.usage) reply.usage = chunk.usage;
    }
    return { ...reply.end(), model };
  }
}

/** Collects a streamed reply and passes it on as UI-message chunks. */
class Reply {
  usage: unknown;
  private text = '';
  private characters = 0;
  private readonly calls = new Map<number, { id: string; name: string; arguments: string }>();
  private readonly textId: string;

  constructor(
    private readonly stream: StepContext['stream'],
    private readonly stepIndex: number,
  ) {
    this.textId = `text-${stepIndex}`;
    // A turn may take several model calls, and they are one message to whoever watches.
    if (stepIndex === 0) stream({ type: 'start' });
  }

  /** @throws {ReplyTooLargeError} */
  add(delta: OpenAI.Chat.ChatCompletionChunk.Choice.Delta | undefined): void {
    if (delta?.content) {
      this.count(delta.content);
      if (this.text === '') this.stream({ type: 'text-start', id: this.textId });
      this.text += delta.content;
      this.stream({ type: 'text-delta', id: this.textId, delta: delta.content });
    }
    for (const { index = 0, id, function: called } of delta?.tool_calls ?? []) {
      // It is the server's word, and may be anything.
      if (!Number.isSafeInteger(index) || index < 0 || index >= MAX_CALLS) continue;
      this.count(id, called?.name, called?.arguments);
      // Where a server gives no id, the place in the turn is one.
      const call = this.calls.get(index) ?? { id: id || `call_${this.stepIndex}_${index}`, name: '', arguments: '' };
      this.calls.set(index, call);
      call.name += called?.name ?? '';
      call.arguments += called?.arguments ?? '';
    }
  }

  private count(...parts: readonly (string | null | undefined)[]): void {
    for (const part of parts) this.characters += part?.length ?? 0;
    if (this.characters > MAX_REPLY_CHARACTERS) throw new ReplyTooLargeError();
  }

  end(): ModelStepResult & { usage?: unknown } {
    if (this.text !== '') this.stream({ type: 'text-end', id: this.textId });
    const inOrder = [...this.calls].sort(([a], [b]) => a - b).map(([, call]) => call);
    const calls = inOrder.map(({ id, name, arguments: text }): ModelToolCall => ({
      call_id: id,
      tool: name,
      ...toolCallToAction(name, text),
    }));
    for (const { call_id, tool, input } of calls) {
      this.stream({ type: 'tool-input-available', toolCallId: call_id, toolName: tool, input });
    }
    if (calls.length === 0) this.stream({ type: 'finish' });
    return {
      text: this.text.replaceAll('\u0000', ''),
      calls,
      ...(this.usage === undefined ? {} : { usage: this.usage }),
    };
  }
}

function toChatMessage({ role, parts }: TranscriptMessage): ChatMessage {
  const text = parts.map((part) => (part.type === 'text' ? String(part['text']) : '')).join('');
  if (role === 'tool') {
    const result = parts.find((part) => part.type === 'tool-result');
    return {
      role,
      tool_call_id: String(result?.['tool_call_id']),
      content: JSON.stringify(result?.['output'] ?? null),
    };
  }
  if (role !== 'assistant') return { role, content: text };
  const calls = parts
    .filter((part) => part.type === 'tool-call')
    .map((part) => ({
      id: String(part['tool_call_id']),
      type: 'function' as const,
      function: { name: String(part['tool_name']), arguments: JSON.stringify(part['input'] ?? {}) },
    }));
  return { role, content: text, ...(calls.length > 0 ? { tool_calls: calls } : {}) };
}

/** Statuses whose message says what is wrong with the request; that of a 401 may repeat the key. */
const EXPLAINED = new Set([400, 404, 413, 422]);
const EXPLANATION_LENGTH = 500;

function toFailure(error: unknown, signal: AbortSignal): StepOutcome {
  if (signal.aborted) return { kind: 'interrupted' };
  if (error instanceof ReplyTooLargeError) {
    // Another one would be paid for as well, and likely be as long.
    return { kind: 'failed', error: { code: 'model_reply_too_large', message: error.message }, retryable: false };
  }
  if (error instanceof OpenAI.APIError && typeof error.status === 'number') {
    const { status } = error;
    const message = EXPLAINED.has(status)
      ? `the model server answered ${error.message.slice(0, EXPLANATION_LENGTH)}`
      : `the model server answered ${status}`;
    const retryable = status === 429 || status === 408 || status === 409 || status >= 500;
    const asked = Number((error.headers as Headers | undefined)?.get('retry-after')) * 1_000;
    return {
      kind: 'failed',
      error: { code: `http_${status}`, message },
      retryable,
      ...(asked > 0 ? { retryAfterMs: asked } : {}),
    };
  }
  // Not reached, or the stream broke off: calling a model again costs money and changes nothing.
  const code = error instanceof OpenAI.APIConnectionError ? 'model_unreachable' : 'model_stream_broken';
  const message = error instanceof Error ? error.message : String(error);
  return { kind: 'failed', error: { code, message }, retryable: true };
}
