import { createHash } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import type { Capability, CapabilityTask } from '@tyrum/client';
import { LIMITS, WireError, type EffectClass, type JsonObject, type JsonValue } from '@tyrum/protocol';
import { DesktopUnavailableError, type Desktop, type Picture } from './desktop-driver';

const VERSION = '1.0.0';
/** Base64 and the fields beside it have to fit in what a node may send as evidence. */
const MAX_IMAGE_BYTES = Math.floor(((LIMITS.evidenceBytes - 1_024) * 3) / 4);
const PICTURES: readonly Picture[] = [
  { format: 'png', quality: 7 },
  ...[8, 5, 3, 2, 1].map((quality) => ({ format: 'jpg' as const, quality })),
];
const BUTTONS = { left: '1', middle: '2', right: '3' } as const;
const SCROLL = { up: '4', down: '5', left: '6', right: '7' } as const;
const MAX_SCROLL = 50;
const MAX_CLICKS = 3;
/** `ctrl+shift+t`, `Return`: names of keys as X has them. */
const KEYS = /^[A-Za-z0-9_]{1,32}(\+[A-Za-z0-9_]{1,32}){0,5}$/;
const MAX_WINDOWS = 100;
/** For a program to show a window, and how often it is looked for, in ms. */
const MAX_WAIT_MS = 60_000;
const WINDOW_POLL_MS = 100;

/** What can be done with a desktop, by the last part of its capability. An effect of `once`: an input cannot be told to have happened. */
const OPERATIONS: Readonly<
  Record<string, [EffectClass, (desktop: Desktop, task: CapabilityTask) => Promise<JsonValue>]>
> = {
  screenshot: ['read', screenshot],
  windows: ['read', windows],
  move: ['idempotent', move],
  click: ['once', click],
  scroll: ['once', scroll],
  type: ['once', type],
  key: ['once', key],
  launch: ['once', launch],
};

/** The capabilities a desktop's node has: `tyrum.desktop.screenshot` and so on. */
export const DESKTOP_CAPABILITIES = Object.keys(OPERATIONS).map((name) => ({
  id: `tyrum.desktop.${name}`,
  version: VERSION,
}));

/** The same as the node offers them, on the desktop that is up now. */
export function capabilitiesOf(desktop: Desktop): Capability[] {
  return Object.entries(OPERATIONS).map(([name, [effect, run]]) => ({
    id: `tyrum.desktop.${name}`,
    version: VERSION,
    effect,
    run: (task) => run(desktop, task).catch(sayWhatFailed),
  }));
}

function sayWhatFailed(error: unknown): never {
  throw error instanceof DesktopUnavailableError ? new WireError('conflict', error.message) : error;
}

/** The picture goes with the turn as an artifact: as PNG, or where that is too large, as the best JPEG that is not. */
async function screenshot(desktop: Desktop, { signal, evidence }: CapabilityTask): Promise<JsonValue> {
  for (const picture of PICTURES) {
    const image = await desktop.screenshot(picture, signal);
    if (image.length > MAX_IMAGE_BYTES) continue;
    const mime_type = picture.format === 'png' ? 'image/png' : 'image/jpeg';
    const filename = `screenshot.${picture.format}`;
    await evidence({ kind: 'screenshot', filename, mime_type, content_base64: image.toString('base64') });
    return { mime_type, size_bytes: image.length, sha256: createHash('sha256').update(image).digest('hex') };
  }
  throw new DesktopUnavailableError(`a picture of the screen takes more than ${MAX_IMAGE_BYTES} bytes`);
}

async function windowIds(desktop: Desktop, signal: AbortSignal): Promise<string[]> {
  const search = ['search', '--onlyvisible', '--maxdepth', '3', '--name', '.+'];
  // It fails where there is none.
  const found = await desktop.control(search, signal).catch(() => '');
  return found.split('\n').filter((id) => /^\d+$/.test(id));
}

async function windows(desktop: Desktop, { signal }: CapabilityTask): Promise<JsonValue> {
  const ids = (await windowIds(desktop, signal)).slice(0, MAX_WINDOWS);
  const shown: JsonValue[] = [];
  for (const id of ids) {
    // One that has closed meanwhile is none.
    const told = await desktop
      .control(['getwindowname', id, 'getwindowgeometry', '--shell', id], signal)
      .catch(() => '');
    const [title = '', ...lines] = told.trimEnd().split('\n');
    const { X, Y, WIDTH, HEIGHT } = Object.fromEntries(lines.map((line) => line.split('='))) as Record<string, string>;
    if (X !== undefined)
      shown.push({ id, title, x: Number(X), y: Number(Y), width: Number(WIDTH), height: Number(HEIGHT) });
  }
  return { windows: shown };
}

async function move(desktop: Desktop, { args, signal }: CapabilityTask): Promise<JsonValue> {
  await desktop.control(['mousemove', coordinate(args, 'x'), coordinate(args, 'y')], signal);
  return null;
}

async function click(desktop: Desktop, { args, signal }: CapabilityTask): Promise<JsonValue> {
  const button = BUTTONS[oneOf(args, 'button', BUTTONS, 'left')];
  const count = String(whole(args, 'count', 1, MAX_CLICKS, 1));
  await desktop.control([...placed(args), 'click', '--repeat', count, '--delay', '60', button], signal);
  return null;
}

async function scroll(desktop: Desktop, { args, signal }: CapabilityTask): Promise<JsonValue> {
  const button = SCROLL[oneOf(args, 'direction', SCROLL, 'down')];
  const amount = String(whole(args, 'amount', 1, MAX_SCROLL, 3));
  await desktop.control([...placed(args), 'click', '--repeat', amount, '--delay', '20', button], signal);
  return null;
}

async function type(desktop: Desktop, { args, signal }: CapabilityTask): Promise<JsonValue> {
  const text = textOf(args, 'text', LIMITS.desktopTextLength);
  await desktop.type(text, signal);
  return null;
}

async function key(desktop: Desktop, { args, signal }: CapabilityTask): Promise<JsonValue> {
  const keys = textOf(args, 'keys', 256);
  if (!KEYS.test(keys)) throw bad('keys', 'must be names of keys joined by +');
  await desktop.control(['key', '--clearmodifiers', keys], signal);
  return null;
}

/** With `wait_ms` it is waited for a window that was not there before: what is typed sooner goes nowhere. */
async function launch(desktop: Desktop, { args, signal }: CapabilityTask): Promise<JsonValue> {
  const list = args['args'] ?? [];
  const isList =
    Array.isArray(list) && list.length <= LIMITS.commandArgs && list.every((each) => typeof each === 'string');
  if (!isList) throw bad('args', `must be at most ${LIMITS.commandArgs} strings`);
  const command = textOf(args, 'cmd', LIMITS.commandLength);
  const waitMs = whole(args, 'wait_ms', 0, MAX_WAIT_MS, 0);
  const before = new Set(waitMs > 0 ? await windowIds(desktop, signal) : []);
  const deadline = performance.now() + waitMs;
  const launched = await desktop.launch(command, list as string[]);
  if (launched.kind === 'ended') return { running: false, exit_code: launched.code };
  if (waitMs === 0) return { running: true };
  for (;;) {
    const window = (await windowIds(desktop, signal)).find((id) => !before.has(id));
    if (window !== undefined || performance.now() > deadline) return { running: true, window: window ?? null };
    await setTimeout(WINDOW_POLL_MS, undefined, { signal });
  }
}

/** Moves the pointer first, where a place is named. */
function placed(args: JsonObject): string[] {
  if (args['x'] === undefined && args['y'] === undefined) return [];
  return ['mousemove', coordinate(args, 'x'), coordinate(args, 'y')];
}

function coordinate(args: JsonObject, name: 'x' | 'y'): string {
  return String(whole(args, name, 0, LIMITS.desktopSideMax - 1));
}

function whole(args: JsonObject, name: string, min: number, max: number, fallback?: number): number {
  const value = args[name] ?? fallback;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
    throw bad(name, `must be a whole number of ${min} to ${max}`);
  }
  return value;
}

function textOf(args: JsonObject, name: string, max: number): string {
  const value = args[name];
  if (typeof value !== 'string' || value.length === 0 || value.length > max || value.includes('\0')) {
    throw bad(name, `must be a string of 1 to ${max} characters`);
  }
  return value;
}

function oneOf<const T extends string>(
  args: JsonObject,
  name: string,
  words: Readonly<Record<T, string>>,
  fallback: T,
): T {
  const value = args[name] ?? fallback;
  if (typeof value !== 'string' || !Object.hasOwn(words, value)) {
    throw bad(name, `must be one of ${Object.keys(words).join(', ')}`);
  }
  return value as T;
}

function bad(name: string, rule: string): WireError {
  return new WireError('contract_error', `args.${name} ${rule}`);
}
