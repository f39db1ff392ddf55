import { createLogger, type Logger } from '../logging';

/** One logged line, parsed. */
export type LoggedLine = Record<string, unknown> & { level: string; msg: string };

/** A real logger, with redaction and context, whose lines stay in memory. Logs every level. */
export function memoryLogger(): { logger: Logger; lines: LoggedLine[] } {
  const lines: LoggedLine[] = [];
  const config = { app: 'edge', instanceId: 'test-1', logLevel: 'trace' } as const;
  const logger = createLogger(config, { write: (line) => void lines.push(JSON.parse(line) as LoggedLine) });
  return { logger, lines };
}
