import type { ReactNode } from 'react';
import { useState } from 'react';
import type { RouteAnswers } from '@tyrum/protocol';
import type { Call } from './api';
import { Problem } from './parts';
import { useAnswer, type Answer, type AnswerOptions } from './use-answer';

export interface Column<T> {
  readonly title: string;
  readonly cell: (row: T) => ReactNode;
  /** `number`: to the right. `wide`: takes what is left and is cut. `actions`: to the right, without a heading. */
  readonly as?: 'number' | 'wide' | 'actions';
}

export interface TableProps<T> {
  readonly label: string;
  readonly rows: readonly T[] | undefined;
  readonly keyOf: (row: T) => string;
  readonly columns: readonly Column<T>[];
  /** Said where there is nothing. */
  readonly empty: string;
}

export function Table<T>({ label, rows, keyOf, columns, empty }: TableProps<T>) {
  if (!rows) return <p className="loading">Loading…</p>;
  if (rows.length === 0) return <p className="empty">{empty}</p>;
  return (
    <div className="scroll">
      <table aria-label={label}>
        <thead>
          <tr>
            {columns.map(({ title, as }) => (
              <th key={title} scope="col" className={as}>
                {as === 'actions' ? <span className="unseen">{title}</span> : title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={keyOf(row)}>
              {columns.map(({ title, as, cell }) => (
                <td key={title} className={as}>
                  {cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

type PagedRoute = {
  [R in keyof RouteAnswers]: R extends `GET ${string}`
    ? RouteAnswers[R] extends { next_cursor?: string }
      ? R
      : never
    : never;
}[keyof RouteAnswers];

export interface Paged<T> extends Answer<T> {
  /** The way to the other pages, and what went wrong. */
  readonly pager: ReactNode;
}

const PAGE_ROWS = 50;

/** One page of a list that comes by pages. Another list or query begins with its first one. */
export function usePages<R extends PagedRoute>(
  route: R,
  { query, params }: Pick<Call, 'query' | 'params'> = {},
  options: AnswerOptions = {},
): Paged<RouteAnswers[R]> {
  const about = JSON.stringify([query, params]);
  const [at, setAt] = useState<{ about: string; cursors: readonly string[] }>({ about, cursors: [] });
  const cursors = at.about === about ? at.cursors : [];
  const cursor = cursors.at(-1);
  const found = useAnswer(route, { params, query: { ...query, limit: PAGE_ROWS, cursor } }, options);
  const next = (found.answer as { next_cursor?: string } | undefined)?.next_cursor;
  const turnTo = (to: readonly string[]) => (): void => setAt({ about, cursors: to });
  const pager = (
    <>
      <Problem text={found.error} />
      {(cursors.length > 0 || next !== undefined) && (
        <div className="pager" role="navigation" aria-label="Pages of the list">
          <button disabled={cursors.length === 0} onClick={turnTo(cursors.slice(0, -1))}>
            Newer
          </button>
          <span>Page {cursors.length + 1}</span>
          <button disabled={next === undefined} onClick={turnTo([...cursors, next ?? ''])}>
            Older
          </button>
        </div>
      )}
    </>
  );
  return { ...found, pager };
}
