import type { RouteAnswers } from '@tyrum/protocol';
import { useEffect, useId, useRef, useState, type FormEvent, type ReactNode } from 'react';
import type { Call, Route } from './api';
import { Problem } from './parts';
import { useCall } from './use-call';

/** What was filled in. */
export interface Filled {
  /** A field's text without the space around it; undefined where there is none. */
  text(name: string): string | undefined;
  /** A field's text to the letter. */
  exact(name: string): string;
  all(name: string): string[];
}

export interface FormProps<R extends Route> {
  readonly label: string;
  readonly submit: string;
  readonly route: R;
  readonly params?: Call['params'];
  readonly body: (filled: Filled) => object;
  readonly onDone: (answer: RouteAnswers[R]) => void;
  readonly children: ReactNode;
  /** Set for a form that stays after it was sent, and is to be empty then. */
  readonly clears?: boolean;
  /** Set for a form that was opened, and can be closed: the keyboard goes to its first field. */
  readonly onCancel?: () => void;
}

/** A form that is one request. The fields keep what was filled in until the request has succeeded. */
export function Form<R extends Route>(props: FormProps<R>) {
  const { label, submit, route, params, body, onDone, children, clears, onCancel } = props;
  const { call, busy, error } = useCall(route);
  const shown = useRef<HTMLFormElement>(null);
  const isOpened = onCancel !== undefined;
  useEffect(() => {
    if (isOpened) shown.current?.querySelector<HTMLElement>('input, select, textarea')?.focus();
  }, [isOpened]);
  const send = async (event: FormEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    const form = event.currentTarget;
    const data = new FormData(form);
    const textsOf = (name: string) => data.getAll(name).map(String);
    const exact = (name: string) => String(data.get(name) ?? '');
    const filled: Filled = { text: (name) => exact(name).trim() || undefined, exact, all: textsOf };
    const done = await call({ ...(params ? { params } : {}), body: body(filled) });
    if (!done) return;
    if (clears) form.reset();
    onDone(done[0]);
  };
  return (
    <form ref={shown} aria-label={label} onSubmit={send} className="fields">
      {children}
      <Problem text={error} />
      <div className="buttons">
        <button type="submit" className="primary" disabled={busy}>
          {submit}
        </button>
        {onCancel && (
          <button type="button" onClick={onCancel}>
            Cancel
          </button>
        )}
      </div>
    </form>
  );
}

export interface FieldProps {
  readonly name: string;
  readonly label: string;
  readonly hint?: string;
  readonly defaultValue?: string;
  readonly required?: boolean;
  readonly type?: 'text' | 'password' | 'number' | 'datetime-local';
  readonly rows?: number;
  readonly placeholder?: string;
  readonly minLength?: number;
  readonly min?: number;
}

export function Field({ label, hint, rows, ...input }: FieldProps) {
  const id = useId();
  const common = {
    ...input,
    id,
    autoComplete: 'off',
    spellCheck: false,
    'aria-describedby': hint ? `${id}-hint` : undefined,
  };
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {rows === undefined ? <input {...common} /> : <textarea {...common} rows={rows} />}
      {hint && (
        <p id={`${id}-hint`} className="hint">
          {hint}
        </p>
      )}
    </div>
  );
}

export interface ChoiceProps {
  readonly name: string;
  readonly label: string;
  readonly options: Readonly<Record<string, string>>;
  readonly value?: string;
  readonly onChange?: (value: string) => void;
}

/** One of some; with `value`, what is chosen is held outside. */
export function Choice({ name, label, options, value, onChange }: ChoiceProps) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <select id={id} name={name} value={value} onChange={(event) => onChange?.(event.target.value)}>
        {Object.entries(options).map(([key, text]) => (
          <option key={key} value={key}>
            {text}
          </option>
        ))}
      </select>
    </div>
  );
}

/** Any of some. */
export function Checks({
  name,
  label,
  options,
}: {
  readonly name: string;
  readonly label: string;
  readonly options: readonly string[];
}) {
  return (
    <fieldset className="field">
      <legend>{label}</legend>
      {options.map((option) => (
        <label key={option} className="check">
          <input type="checkbox" name={name} value={option} />
          {option}
        </label>
      ))}
    </fieldset>
  );
}

export interface ActionProps<R extends Route> {
  readonly label: string;
  readonly route: R;
  readonly params?: Call['params'];
  readonly body?: object;
  readonly onDone: (answer: RouteAnswers[R]) => void;
  /** Asked before it is done. */
  readonly confirm?: string;
  /** Asks for a reason, which becomes the body's `reason`. */
  readonly asksReason?: boolean;
  readonly kind?: 'primary' | 'danger';
}

/** A button that is one request; what cannot be taken back is asked about in its place. */
export function Action<R extends Route>(props: ActionProps<R>) {
  const { label, route, params, body, onDone, confirm, asksReason, kind } = props;
  const { call, busy, error } = useCall(route);
  // False, unlike undefined, is after it was asked: the keyboard comes back to where it was.
  const [isAsking, setAsking] = useState<boolean>();
  const reason = useRef<HTMLInputElement>(null);
  const asks = confirm !== undefined || asksReason === true;

  const send = async (): Promise<void> => {
    const why = reason.current?.value.trim();
    const whole = { ...body, ...(why ? { reason: why } : {}) };
    const sends = body !== undefined || Object.keys(whole).length > 0;
    const done = await call({ ...(params ? { params } : {}), ...(sends ? { body: whole } : {}) });
    if (!done) return;
    setAsking(false);
    onDone(done[0]);
  };
  if (!isAsking) {
    return (
      <span className="action">
        <button
          className={kind}
          disabled={busy}
          autoFocus={isAsking === false}
          onClick={() => (asks ? setAsking(true) : void send())}
        >
          {label}
        </button>
        <Problem text={error} />
      </span>
    );
  }
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    void send();
  };
  return (
    <form
      className="asking"
      aria-label={label}
      onSubmit={submit}
      onKeyDown={({ key }) => key === 'Escape' && setAsking(false)}
    >
      {confirm !== undefined && <span>{confirm}</span>}
      {asksReason && <input ref={reason} aria-label="Reason" placeholder="Reason" autoFocus />}
      <button type="submit" className={kind} disabled={busy}>
        {label}
      </button>
      <button type="button" autoFocus={!asksReason} onClick={() => setAsking(false)}>
        Back
      </button>
      <Problem text={error} />
    </form>
  );
}
