import type { RouteAnswers } from '@tyrum/protocol';
import { useEffect, useRef, useState } from 'react';
import { ask, messageOf, type Call, type Route } from './api';
import type { LiveEvent } from './live-events';
import { useLive } from './use-live';

export interface AnswerOptions {
  /** Whether an event is about what is shown, which is then read anew. */
  readonly on?: (event: LiveEvent) => boolean;
  /** For what no event tells of. */
  readonly everyMs?: number;
}

export interface Answer<T> {
  readonly answer: T | undefined;
  readonly error: string | undefined;
  reload(): void;
}

interface Shown<T> {
  readonly name: string;
  readonly answer?: T;
  readonly error?: string;
}

/** A busy tenant has thousands of events a second; nobody reads a list that often. */
const PAUSE_MS = 400;

/**
 * What a route answers, read again when an event concerns it. While another page of the same list is on its way the old one stays,
 * so that nothing flickers; an answer that was overtaken by a newer question is dropped.
 */
export function useAnswer<R extends Route>(
  route: R,
  call: Pick<Call, 'params' | 'query'> = {},
  { on, everyMs }: AnswerOptions = {},
): Answer<RouteAnswers[R]> {
  const name = JSON.stringify([route, call.params]);
  const question = JSON.stringify(call);
  const [shown, setShown] = useState<Shown<RouteAnswers[R]>>({ name });
  const reload = useRef<() => void>(() => undefined);
  useEffect(() => {
    const reader = readAgainAndAgain(() => ask(route, JSON.parse(question) as Call), {
      read: (answer) => setShown({ name, answer }),
      failed: (error) => setShown((old) => ({ ...(old.name === name ? old : { name }), error: messageOf(error) })),
    });
    reload.current = reader.read;
    reader.read();
    const timer = everyMs === undefined ? undefined : setInterval(reader.read, everyMs);
    return () => {
      clearInterval(timer);
      reader.stop();
    };
  }, [route, name, question, everyMs]);
  useLive((event) => {
    if (event.type === 'missed' || on?.(event)) reload.current();
  });
  const { answer, error } = shown.name === name ? shown : {};
  return { answer, error, reload: () => reload.current() };
}

/** Reads when it is told to: one at a time, and once more when it was told meanwhile. */
function readAgainAndAgain<T>(
  load: () => Promise<T>,
  tell: { read(answer: T): void; failed(error: unknown): void },
): { read: () => void; stop: () => void } {
  let isStopped = false;
  let isReading = false;
  let isWanted = false;
  const read = (): void => {
    isWanted = isReading;
    if (isReading || isStopped) return;
    isReading = true;
    load()
      .then(
        (answer) => !isStopped && tell.read(answer),
        (error: unknown) => !isStopped && tell.failed(error),
      )
      .finally(() => {
        setTimeout(() => {
          isReading = false;
          if (isWanted) read();
        }, PAUSE_MS);
      })
      .catch(() => undefined);
  };
  return {
    read,
    stop: () => {
      isStopped = true;
    },
  };
}
