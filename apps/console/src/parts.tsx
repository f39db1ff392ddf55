import { useEffect, type ReactNode } from 'react';

/** What went wrong, in the edge's own words. */
export function Problem({ text }: { readonly text: string | undefined }) {
  return text === undefined ? null : <p role="alert">{text}</p>;
}

/** A state as a word with a colour; the colour is never the only sign. */
export function Status({ value }: { readonly value: string }) {
  return <span className={`status ${value}`}>{value.replaceAll('_', ' ')}</span>;
}

/** A time in the reader's zone; the exact one on pointing at it. */
export function Time({ at }: { readonly at: string | null | undefined }) {
  if (!at) return <span className="faint">–</span>;
  const date = new Date(at);
  const isToday = date.toDateString() === new Date().toDateString();
  const clock = date.toLocaleTimeString(undefined, { hourCycle: 'h23' });
  return (
    <time dateTime={at} title={at}>
      {isToday ? clock : `${date.toLocaleDateString()} ${clock}`}
    </time>
  );
}

/** How long something takes or took. */
export function Duration({ ms }: { readonly ms: number }) {
  if (ms < 1_000) return <>{Math.round(ms)} ms</>;
  if (ms < 120_000) return <>{(ms / 1_000).toFixed(1)} s</>;
  if (ms < 7_200_000) return <>{Math.round(ms / 60_000)} min</>;
  return <>{Math.round(ms / 3_600_000)} h</>;
}

/** An id, or a name that ends in one (`token:<id>`): its beginning tells it apart, the whole is on pointing at it. */
export function Id({ id, href }: { readonly id: string; readonly href?: string }) {
  const short = id.replace(LONG_ID, '$1…');
  const text = <code title={short === id ? undefined : id}>{short}</code>;
  return href === undefined ? text : <a href={href}>{text}</a>;
}

const LONG_ID = /((?:dev_)?[0-9a-z]{8})[0-9a-z-]{10,}$/;

/** Something from outside as it is: text as text, anything else as JSON. Never as markup. */
export function Output({ value, label }: { readonly value: unknown; readonly label?: string }) {
  const text = typeof value === 'string' ? value : JSON.stringify(value, null, 2);
  return (
    <pre aria-label={label} tabIndex={0}>
      {text}
    </pre>
  );
}

export interface PageHeadProps {
  readonly title: string;
  readonly children?: ReactNode;
}

/** The page's heading, with what can be done or chosen beside it. */
export function PageHead({ title, children }: PageHeadProps) {
  useEffect(() => {
    document.title = `${title} · Tyrum`;
  }, [title]);
  return (
    <div className="page-head">
      <h1>{title}</h1>
      {children}
    </div>
  );
}

/** Names beside values. */
export function Facts({ of }: { readonly of: Readonly<Record<string, ReactNode>> }) {
  return (
    <dl className="facts">
      {Object.entries(of).map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** A secret that is shown this once. */
export function ShownOnce({ what, value, onDone }: { what: string; value: string; onDone: () => void }) {
  return (
    <section className="shown-once" role="status" aria-label={what}>
      <p>{what}. It is shown this once: copy it now.</p>
      <code>{value}</code>
      <div className="buttons">
        <button onClick={() => void navigator.clipboard.writeText(value)}>Copy</button>
        <button onClick={onDone}>Done</button>
      </div>
    </section>
  );
}
