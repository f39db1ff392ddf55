import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { FileDispatchJournal, serveCapabilities, type ServedNode } from '@tyrum/client';
import { WebSocket } from 'ws';
import { labelOf, type EnvironmentRow } from '../environment-row';
import { capabilitiesOf } from './desktop-capabilities';
import { DesktopUnavailableError, type Desktop, type DesktopDriver } from './desktop-driver';
import type { BringUp } from './desktop-reconciler';
import { keepToken, type Enrolled, type Enrolment } from './enrolment';

export interface HostedPorts {
  readonly driver: DesktopDriver;
  readonly enrolment: Enrolment;
  /** Addresses of edges, `ws://host/ws`. */
  readonly edges: readonly string[];
  readonly onTrouble: (what: string, error: unknown) => void;
}

/** For its node to be connected and known as approved, in ms. */
const CONNECT_MS = 30_000;
/** What its node runs may go on for when it is stopped, in ms. */
const GRACE_MS = 2_000;

/** A desktop that is up: its screen, and the node that works it. */
export interface UpDesktop {
  /** Why it is no more, once it is. */
  readonly ended: Promise<string>;
  stop(): Promise<void>;
}

/**
 * Brings a desktop up: screen, pairing, node. What its programs keep is in `<directory>/home`, what its node keeps beside it, where they
 * do not see it. @throws {DesktopUnavailableError}
 */
export async function bringUp(row: EnvironmentRow, how: BringUp, ports: HostedPorts): Promise<UpDesktop> {
  const { directory, lease, signal } = how;
  const [home, scratch, own] = [join(directory, 'home'), join(directory, 'scratch'), join(directory, 'node')];
  await rm(scratch, { recursive: true, force: true });
  for (const path of [home, scratch, own]) await mkdir(path, { recursive: true, mode: 0o700 });
  const enrolled = await ports.enrolment.enrol(row, { directory: own, lease });
  const desktop = await ports.driver.open({ width: row.width, height: row.height, home, scratch, signal });
  let journal: FileDispatchJournal | undefined;
  let node: ServedNode | undefined;
  const stop = async (): Promise<void> => {
    try {
      await node?.close(GRACE_MS);
      await journal?.close();
    } finally {
      await desktop.stop();
    }
  };
  try {
    journal = await FileDispatchJournal.open(join(own, 'journal.jsonl'));
    node = serve({ row, desktop, enrolled, journal }, ports);
    const turnedAway = node.ended.then(
      () => 'its node was closed',
      (error: Error) => `its node was turned away: ${error.message}`,
    );
    const ended = Promise.race([desktop.ended, turnedAway]);
    await inTime(node.approved, ended, { signal, edges: ports.edges });
    return { ended, stop };
  } catch (error) {
    await stop().catch((failure: unknown) => ports.onTrouble('clear up after a desktop that did not start', failure));
    throw error;
  }
}

interface Parts {
  readonly row: EnvironmentRow;
  readonly desktop: Desktop;
  readonly enrolled: Enrolled;
  readonly journal: FileDispatchJournal;
}

function serve({ row, desktop, enrolled, journal }: Parts, { edges, onTrouble }: HostedPorts): ServedNode {
  return serveCapabilities({
    url: edges,
    token: enrolled.token,
    identity: enrolled.identity,
    capabilities: capabilitiesOf(desktop),
    journal,
    device: { mode: 'desktop', label: labelOf(row) },
    // One screen, one pointer: what comes while something is done waits for it.
    maxConcurrent: 1,
    WebSocket,
    observer: {
      token: (token) =>
        void keepToken(enrolled.file, token).catch((error: unknown) => onTrouble('keep the token of a desktop', error)),
      trouble: (error) => onTrouble(`do what a turn asked of the desktop ${row.environment_id}`, error),
    },
  });
}

/** @throws {DesktopUnavailableError} with why it will not be approved */
async function inTime(
  approved: Promise<void>,
  ended: Promise<string>,
  { signal, edges }: { readonly signal: AbortSignal; readonly edges: readonly string[] },
): Promise<void> {
  let tell: () => void = () => undefined;
  const late = new Promise<string>((resolve) => {
    tell = () => resolve(`no edge answered it at ${edges.join(', ')} (TYRUM_EDGE_URL)`);
    if (signal.aborted) tell();
    signal.addEventListener('abort', tell);
  });
  const timer = setTimeout(tell, CONNECT_MS);
  const why = await Promise.race([approved, ended, late]).finally(() => {
    clearTimeout(timer);
    signal.removeEventListener('abort', tell);
  });
  if (typeof why === 'string') throw new DesktopUnavailableError(why);
}
