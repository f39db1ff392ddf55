/** Injection token of the set of exact origins whose pages may use the cookie. */
export const ALLOWED_ORIGINS = Symbol('tyrum.allowed-origins');

/** Injection token of the `WireLimits`: those of the configuration, or of the options where they say so. */
export const WIRE_LIMITS = Symbol('tyrum.wire-limits');

/** Injection token of the `GatewayOptions`. */
export const GATEWAY_OPTIONS = Symbol('tyrum.gateway-options');
