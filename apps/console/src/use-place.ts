import { useSyncExternalStore } from 'react';

/** The address of a place in the console: `#/turns/<id>`. */
export function linkTo(...parts: readonly string[]): string {
  return `#/${parts.map(encodeURIComponent).join('/')}`;
}

export function goTo(...parts: readonly string[]): void {
  location.hash = linkTo(...parts);
}

/** The parts of the address behind `#/`. */
export function usePlace(): readonly string[] {
  const hash = useSyncExternalStore(watch, () => location.hash);
  return hash.replace(/^#\/?/, '').split('/').map(decoded);
}

function watch(onChange: () => void): () => void {
  addEventListener('hashchange', onChange);
  return () => removeEventListener('hashchange', onChange);
}

/** An address that somebody typed need not be well formed. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
