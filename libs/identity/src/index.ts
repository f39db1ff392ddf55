export { allows, isOperator, type Principal } from './principal';
export { TokenStore, type NewToken, type TokenRecord, type TokenStoreOptions } from './token-store';
export { nodeTokens } from './node-tokens';
export { MAX_TENANTS, Tenants, type TenantQuotas } from './tenants';
export { ensureBootstrapToken, type BootstrapConfig, type BootstrapOutcome } from './bootstrap-token';
export { walkDeadTokens } from './token-retention';
export { LoginRefusedError, ProviderUnavailableError } from './oidc/oidc-client';
export { type LoginAttempt, type OidcLogins } from './oidc/oidc-logins';
export { openOidcLogins } from './oidc/open-oidc-logins';
