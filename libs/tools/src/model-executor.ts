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

type ChatMessage = OpenAI.Chat.ChatCompletionMessageParam;

const NOT_CONFIGURED = 'No model is configured: set TYRUM_MODEL_BASE_URL and TYRUM_MODEL, then send the message again.';

/** Runs `Llm` steps: one streamed model call. The tool calls it asks for become steps of their own. */
export class ModelExecutor implements StepExecutor {
  private readonly client: OpenAI | undefined;

  constructor(private readonly options: ModelOptions | undefined) {
    this.client = options && new OpenAI({ baseURL: options.baseUrl, apiKey: options.apiKey ?? 'none', maxRetries: 0 }); // our retries are durable
  }

  handles(action: Action): boolean {
    return action.type === 'Llm';
  }

  async execute(request: StepRequest, context: StepContext): Promise<StepOutcome> {
    if (!this.client || !this.options) {
      return { kind: 'failed', error: { code: 'model_not_configured', message: NOT_CONFIGURED }, retryable: false };
    }
    try {
      const messages = (await request.transcript()).map(toChatMessage);
      const prompt = (request.action.args as { prompt?: string }).prompt;
      if (prompt) messages.push({ role: 'user', content: prompt });
      const result = await this.call(this.client, this.options.model, messages, context);
      return { kind: 'succeeded', result: result as unknown as StepResult };
    } catch (error) {
      return toFailure(error, context.signal);
    }
  }

  private async call(
    client: OpenAI,
    model: string,
    messages: ChatMessage[],
    { signal, stream }: StepContext,
  ): Promise<ModelStepResult & { usage?: unknown }> {
    const chunks = await client.chat.completions.create(
      { model, messages, tools: toolDefinitions(), stream: true },
      { signal },
    );
    const reply = new Reply(stream);
    for await (const chunk of chunks) {
      reply.add(chunk.choices[0]?.delta);
      if (chunk.usage) reply.usage = chunk.usage;
    }
    return reply.end();
  }
}

/** Collects a streamed reply and passes it on as UI-message chunks. */
class Reply {
  usage: unknown;
  private text = '';
  private readonly calls: { id: string; name: string; arguments: string }[] = [];

  constructor(private readonly stream: StepContext['stream']) {
    stream({ type: 'start' });
  }

  add(delta: OpenAI.Chat.ChatCompletionChunk.Choice.Delta | undefined): void {
    if (delta?.content) {
      if (this.text === '') this.stream({ type: 'text-start', id: 'text' });
      this.text += delta.content;
      this.stream({ type: 'text-delta', id: 'text', delta: delta.content });
    }
    for (const { index, id, function: called } of delta?.tool_calls ?? []) {
      const call = (this.calls[index] ??= { id: id ?? `call_${index}`, name: '', arguments: '' });
      call.name += called?.name ?? '';
      call.arguments += called?.arguments ?? '';
    }
  }

  end(): ModelStepResult & { usage?: unknown } {
    if (this.text !== '') this.stream({ type: 'text-end', id: 'text' });
    const calls = this.calls.map(({ id, name, arguments: text }): ModelToolCall => ({
      call_id: id,
      tool: name,
      ...toolCallToAction(name, text),
    }));
    for (const { call_id, tool, input } of calls) {
      this.stream({ type: 'tool-input-available', toolCallId: call_id, toolName: tool, input });
    }
    this.stream({ type: 'finish' });
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

function toFailure(error: unknown, signal: AbortSignal): StepOutcome {
  if (signal.aborted) return { kind: 'interrupted' };
  if (error instanceof OpenAI.APIConnectionError) {
    return { kind: 'failed', error: { code: 'model_unreachable', message: error.message }, retryable: true };
  }
  if (error instanceof OpenAI.APIError) {
    const status = Number(error.status);
    const code = Number.isFinite(status) ? `http_${status}` : 'model_error';
    const message = `the model server answered ${status}`;
    return { kind: 'failed', error: { code, message }, retryable: status === 429 || status === 408 || status >= 500 };
  }
  throw error;
}
