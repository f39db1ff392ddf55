import { integer } from './parsers';
import { SWEEPS, variable } from './variable';

/** How long things are kept: see docs/retention.md. */
export const RETENTION_VARIABLES = {
  retentionTurnDays: variable({
    name: 'TYRUM_RETENTION_TURN_DAYS',
    description: 'How long turns are kept after their end, with their steps, messages and artifacts, in days.',
    expected: 'an integer from 1 to 36500',
    apps: SWEEPS,
    parse: integer(1, 36_500),
    fallback: () => 90,
  }),
  retentionEventDays: variable({
    name: 'TYRUM_RETENTION_EVENT_DAYS',
    description: 'How long events are kept, in days: a client that was away for longer is told of a gap.',
    expected: 'an integer from 1 to 36500',
    apps: SWEEPS,
    parse: integer(1, 36_500),
    fallback: () => 7,
  }),
  retentionHistoryDays: variable({
    name: 'TYRUM_RETENTION_HISTORY_DAYS',
    description: 'How long firings, lease history, dead tokens, gone hosts and unclaimed arrivals are kept, in days.',
    expected: 'an integer from 1 to 36500',
    apps: SWEEPS,
    parse: integer(1, 36_500),
    fallback: () => 30,
  }),
  retentionAuditDays: variable({
    name: 'TYRUM_RETENTION_AUDIT_DAYS',
    description: 'How long audit entries are kept, in days; a signed checkpoint takes the place of older ones.',
    expected: 'an integer from 1 to 36500',
    apps: SWEEPS,
    parse: integer(1, 36_500),
    fallback: () => 365,
  }),
};
