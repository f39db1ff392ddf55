import { createContext, useContext, useEffect, useRef, useState, useSyncExternalStore, type ReactNode } from 'react';
import { LiveEvents, type LiveEvent, type LiveState } from './live-events';

const Live = createContext<LiveEvents | undefined>(undefined);

/** Keeps the connection for what is inside, while it is shown. */
export function LiveProvider({ children }: { readonly children: ReactNode }) {
  const [events] = useState(() => new LiveEvents());
  useEffect(() => {
    events.start();
    return () => events.stop();
  }, [events]);
  return <Live value={events}>{children}</Live>;
}

/** Hands over each event. Outside a provider there are none. */
export function useLive(listener: (event: LiveEvent) => void): void {
  const events = useContext(Live);
  const latest = useRef(listener);
  useEffect(() => {
    latest.current = listener;
  });
  useEffect(() => events?.listen((event) => latest.current(event)), [events]);
}

const nothing = (): (() => void) => () => undefined;

export function useLiveState(): LiveState | undefined {
  const events = useContext(Live);
  return useSyncExternalStore(events?.watch ?? nothing, () => events?.state);
}
