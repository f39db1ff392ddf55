import type { OperatorScope } from './access';
import type { PayloadClass } from './validate';

/** How a query parameter becomes the field of a payload: as it is, as a number, as a flag, as a list (repeated or with commas). */
export type QueryKind = 'text' | 'number' | 'flag' | 'list';

/** The parameters a route takes; with `as` where the payload's field has another name. */
export type QueryFields = Readonly<Record<string, { readonly kind: QueryKind; readonly as?: string }>>;

/** What a route asks of its caller: a scope, any valid token, or nothing at all. */
export type RouteScope = OperatorScope | 'authenticated' | null;

/** One HTTP route: who may call it, and what goes in. What comes out is its entry in `RouteAnswers`. */
export interface RouteSpec {
  readonly summary: string;
  readonly scope: RouteScope;
  readonly status: 200 | 201 | 202 | 204 | 302;
  readonly body?: PayloadClass;
  readonly query?: { readonly payload: PayloadClass; readonly fields: QueryFields };
  /** Whether the body is bytes of any media type, which are streamed. */
  readonly bytes?: boolean;
  /** Whether `Idempotency-Key` makes copies of the request one request. */
  readonly keyed?: boolean;
  /** The media type of the answer where it is not JSON. */
  readonly media?:
    'text/event-stream' | 'application/octet-stream' | 'application/x-ndjson' | 'text/plain' | 'text/html';
}
