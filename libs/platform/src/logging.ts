import { AsyncLocalStorage } from 'node:async_hooks';
import type { LoggerService } from '@nestjs/common';
import { type Bindings, type ChildLoggerOptions, type Logger, pino } from 'pino';
import type { Config } from './config';
import { redactFields, scrubText } from './redaction';

export type { Logger } from 'pino';

/** What the work at hand is about; mixed into every line logged while it runs. */
export interface LogContext {
  readonly request_id?: string;
  readonly turn_id?: string;
  readonly conversation_key?: string;
  readonly lease_token?: string | number;
}

/** Where lines go, one JSON object and a newline each. */
export interface LogDestination {
  write(line: string): void;
}

const context = new AsyncLocalStorage<LogContext>();

/** Runs `work` with these fields on every log line it causes, across awaits. Nested calls add to the outer fields. */
export function withLogContext<T>(fields: LogContext, work: () => T): T {
  return context.run({ ...context.getStore(), ...fields }, work);
}

/**
 * The process's logger: JSON lines with `level`, `time`, `app`, `instance_id`, the log context and the caller's fields,
 * credentials removed. Writes synchronously to stdout, because the last lines before a crash are the ones that matter.
 */
export function createLogger(
  config: Pick<Config, 'app' | 'instanceId' | 'logLevel'>,
  destination: LogDestination = pino.destination({ dest: 1, sync: true }),
): Logger {
  const logger = pino(
    {
      level: config.logLevel,
      base: { app: config.app, instance_id: config.instanceId },
      timestamp: pino.stdTimeFunctions.isoTime,
      mixin: () => context.getStore() ?? {},
      formatters: { level: (level) => ({ level }), log: redactFields },
    },
    // Scrubbed as a finished line: message, stack, nested causes and child fields are all in it, whatever made them.
    { write: (line: string) => void destination.write(scrubText(line)) },
  );
  // Pino applies formatters to no child's bindings. Children inherit from their parent, and so this override too.
  const { child } = logger;
  return Object.defineProperty(logger, 'child', {
    value(this: Logger, bindings: Bindings, options?: ChildLoggerOptions): Logger {
      return Reflect.apply(child, this, [redactFields(bindings), options]) as Logger;
    },
  });
}

/** Sends Nest's own messages through our logger. Its `log` level becomes `debug`: a route list is no operator's news. */
export class NestLogger implements LoggerService {
  constructor(private readonly logger: Logger) {}

  log(message: unknown, ...rest: unknown[]): void {
    this.#write('debug', message, rest);
  }

  verbose(message: unknown, ...rest: unknown[]): void {
    this.#write('trace', message, rest);
  }

  debug(message: unknown, ...rest: unknown[]): void {
    this.#write('debug', message, rest);
  }

  warn(message: unknown, ...rest: unknown[]): void {
    this.#write('warn', message, rest);
  }

  error(message: unknown, ...rest: unknown[]): void {
    this.#write('error', message, rest);
  }

  fatal(message: unknown, ...rest: unknown[]): void {
    this.#write('fatal', message, rest);
  }

  /** Nest passes `(message, …more, context)`, and for errors `(message, stack, context)`. */
  #write(level: 'trace' | 'debug' | 'warn' | 'error' | 'fatal', message: unknown, rest: unknown[]): void {
    const source = rest.at(-1);
    const stack = level === 'error' && rest.length > 1 ? rest[0] : undefined;
    const fields = {
      ...(typeof source === 'string' && { nest_context: source }),
      ...(typeof stack === 'string' && { stack }),
    };
    if (message instanceof Error) this.logger[level]({ ...fields, err: message }, message.message);
    else if (typeof message === 'string') this.logger[level](fields, message);
    else this.logger[level]({ ...fields, detail: message }, 'message from Nest');
  }
}
