/** Library to the libraries it may import. */
export declare const ALLOWED: Readonly<Record<string, readonly string[]>>;
/** npm packages that only the libraries in `only` may import. */
export declare const EXTERNAL_BANS: readonly {
  readonly packages: readonly string[];
  readonly only: readonly string[];
}[];
