import { chromium } from 'playwright-core';

const closeLimit = 10_000;

// Chromium takes the last such list only, so those that Playwright needs are here too.
const features = [
  // The SDKs' test page is made up by the driver: Chromium takes it for a page of the Internet, which may not ask loopback for anything.
  'LocalNetworkAccessChecks',
  'HttpsUpgrades',
  'HttpsFirstBalancedModeAutoEnable',
  'AvoidCorsURLLoaderRestartOnRedirect',
  'DestroyProfileOnBrowserClose',
  'MediaRouter',
  'NetworkTimeServiceQuerying',
  'OptimizationHints',
  'PaintHolding',
  'PreconnectToSearch',
  // Toolbar and address bar as pages, with a process for each window: opening one costs more CPU than joining a stream and showing it for seconds.
  'InitialWebUI',
  'PreloadTopChromeWebUI',
  'PreloadTopChromeWebUILessNavigations',
  'WebUIAppMenuButton',
  'WebUIAvatarButton',
  'WebUIBackForwardButton',
  'WebUIExtensionsContainer',
  'WebUIHomeButton',
  'WebUILocationBar',
  'WebUIOmniboxAimPopup',
  'WebUIOmniboxFullPopup',
  'WebUIOmniboxPopup',
  'WebUIPinnedToolbarActions',
  'WebUIReloadButton',
  'WebUISplitTabsButton',
  'WebUIToolbar',
];

/**
 * Starts Chromium with a new profile. Every host name leads to address, which is loopback unless said otherwise: port 443 to httpsPort, port 80 to httpPort, other ports to
 * themselves. Returns { newPage, version, close }. Each page has a context, hence a window, of its own: a page that shared one would
 * be hidden behind the newest, and hidden pages present no frames.
 */
export async function open({ address = '127.0.0.1', httpPort, httpsPort, chromium: executablePath, viewport, tcpOnly }) {
  const rules = ['MAP *.log.aliyuncs.com ~NOTFOUND']; // what SDKs tell their maker's log stores is of no use here
  if (httpsPort) rules.push(`MAP *:443 ${address}:${httpsPort}`);
  if (httpPort) rules.push(`MAP *:80 ${address}:${httpPort}`);
  rules.push(`MAP * ${address}`);
  const browser = await chromium.launch({
    executablePath: executablePath || process.env.CHROMIUM || '/usr/bin/chromium',
    headless: true,
    chromiumSandbox: false,
    args: [
      `--disable-features=${features.join(',')}`,
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--mute-audio',
      '--ignore-certificate-errors',
      '--autoplay-policy=no-user-gesture-required',
      '--allow-loopback-in-peer-connection',
      '--disable-background-timer-throttling',
      '--disable-backgrounding-occluded-windows',
      '--disable-renderer-backgrounding',
      // As in a network that lets no UDP through.
      ...(tcpOnly ? ['--webrtc-ip-handling-policy=disable_non_proxied_udp', '--force-webrtc-ip-handling-policy=disable_non_proxied_udp'] : []),
      `--host-resolver-rules=${rules.join(', ')}`,
    ],
  });
  return {
    version: browser.version(),
    /** Opens a page; its close() ends the window too. */
    async newPage(size) {
      const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: size ?? viewport ?? { width: 640, height: 360 } });
      const page = await context.newPage();
      const close = page.close.bind(page);
      // The page leaves first, so that it can say goodbye to the server.
      page.close = () => close({ runBeforeUnload: false }).then(() => context.close());
      return page;
    },
    async close() {
      let timer;
      const slow = new Promise((resolve) => (timer = setTimeout(resolve, closeLimit)));
      await Promise.race([browser.close().catch(() => {}), slow]);
      clearTimeout(timer);
    },
  };
}
