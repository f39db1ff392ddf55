/** What a desktop is opened with. */
export interface DesktopSpec {
  /** Of the screen, in pixels. */
  readonly width: number;
  readonly height: number;
  /** Its own, and there already: what its programs keep outlives its being stopped. */
  readonly home: string;
  /** For what belongs to this one start of it; its programs do not see it. */
  readonly scratch: string;
  /** It is not wanted any more. */
  readonly signal: AbortSignal;
}

/** How a screen is taken. `quality` is 1, the smallest, to 10; it counts for JPEG alone. */
export interface Picture {
  readonly format: 'png' | 'jpg';
  readonly quality: number;
}

/** A program that was started on a desktop. */
export type Launched = { readonly kind: 'running' } | { readonly kind: 'ended'; readonly code: number | null };

/** A desktop that is up. Every method throws {DesktopUnavailableError} when it is not any more. */
export interface Desktop {
  /** Resolves, with why, when it is no more; `stop` included. */
  readonly ended: Promise<string>;
  /** The whole screen. */
  screenshot(picture: Picture, signal: AbortSignal): Promise<Buffer>;
  /** Runs commands of xdotool against the screen. @returns what it printed */
  control(commands: readonly string[], signal: AbortSignal): Promise<string>;
  /** Types a text of any characters to whatever has the focus. */
  type(text: string, signal: AbortSignal): Promise<void>;
  /** Starts a program in the desktop's home, and waits a moment to see whether it ends at once. */
  launch(command: string, args: readonly string[]): Promise<Launched>;
  /** Ends it with everything that runs on it. Resolves when nothing is left. */
  stop(): Promise<void>;
}

/** Makes desktops. Where they run, in a process of this machine or elsewhere, is its business. */
export interface DesktopDriver {
  /** @throws {DesktopUnavailableError} */
  open(spec: DesktopSpec): Promise<Desktop>;
}

/** A desktop cannot be had, or is no more. Its message is shown to operators. */
export class DesktopUnavailableError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'DesktopUnavailableError';
  }
}
