import type { ProcessorObserver } from '@tyrum/execution';
import type { Logger, Metrics } from '@tyrum/platform';

/** Turns what the processor reports into metrics and log lines. */
export class WorkerObserver implements ProcessorObserver {
  private readonly claimed;
  private readonly takeovers;
  private readonly steps;
  private readonly stepSeconds;
  private readonly turns;
  private readonly fenced;
  private readonly lost;
  private readonly troubles;

  constructor(
    metrics: Metrics,
    private readonly logger: Logger,
  ) {
    this.claimed = metrics.counter('tyrum_conversations_claimed_total', 'Conversations taken under a lease.');
    this.takeovers = metrics.counter(
      'tyrum_conversation_takeovers_total',
      'Of those, the ones whose holder had let its lease run out.',
    );
    this.steps = metrics.counter('tyrum_steps_total', 'Executions of steps.', ['type', 'outcome']);
    this.stepSeconds = metrics.histogram('tyrum_step_duration_seconds', 'How long executions took.', {
      labels: ['type'],
    });
    this.turns = metrics.counter('tyrum_turns_settled_total', 'Turns that ended.', ['status']);
    this.fenced = metrics.counter(
      'tyrum_writes_fenced_total',
      'Writes that were refused because their lease was lost.',
    );
    this.lost = metrics.counter(
      'tyrum_conversation_leases_lost_total',
      'Leases given up because they were not renewed in time.',
    );
    this.troubles = metrics.counter(
      'tyrum_worker_troubles_total',
      'Failures of the worker loop that are tried again.',
      ['what'],
    );
  }

  conversationsClaimed(count: number, takenOver: number): void {
    this.claimed.inc(count);
    this.takeovers.inc(takenOver);
    if (takenOver > 0) this.logger.warn({ conversations: takenOver }, 'conversations taken over');
  }

  stepSettled({ type, outcome, durationMs }: { type: string; outcome: string; durationMs: number }): void {
    this.steps.inc({ type, outcome });
    this.stepSeconds.observe({ type }, durationMs / 1_000);
  }

  turnSettled({ turnId, conversationKey, status }: { turnId: string; conversationKey: string; status: string }): void {
    this.turns.inc({ status });
    this.logger.debug({ turn_id: turnId, conversation_key: conversationKey, status }, 'turn settled');
  }

  writeFenced({ conversationKey, token }: { conversationKey: string; token: number }): void {
    this.fenced.inc();
    this.logger.warn({ conversation_key: conversationKey, lease_token: token }, 'write fenced');
  }

  leaseLost({ conversationKey, token }: { conversationKey: string; token: number }): void {
    this.lost.inc();
    this.logger.warn({ conversation_key: conversationKey, lease_token: token }, 'lease lost');
  }

  trouble(what: string, error: unknown): void {
    this.troubles.inc({ what });
    this.logger.warn({ err: error, what }, 'worker trouble');
  }

  runnerExited(code: number | null, signal: string | null): void {
    this.logger.warn({ code, signal }, 'the tool runner exited; another one is started');
  }
}
