import { LIMITS } from './limits';
import { Optional, Text, WholeNumber } from './payload-fields';

/** Which part of a list is asked for. */
export class PageQuery {
  @WholeNumber(1, LIMITS.pageMax)
  limit: number = LIMITS.pageMax;

  /** `next_cursor` of the page before. */
  @Optional()
  @Text(LIMITS.cursorLength)
  cursor?: string;
}

/** The query of a route that gives a part of a list. */
export const PAGE = {
  payload: PageQuery,
  fields: { limit: { kind: 'number' }, cursor: { kind: 'text' } },
} as const;

/** What the answer with a part of a list says of the rest. */
export interface Page {
  /** Absent: there is no more. */
  next_cursor?: string;
}
