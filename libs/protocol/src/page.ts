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

/** What the answer with a part of a list says of the rest. */
export interface Page {
  /** Absent: there is no more. */
  next_cursor?: string;
}
