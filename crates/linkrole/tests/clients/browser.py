"""A real browser without a window, driven as a person would: by labels, links and buttons."""

import os
import pathlib
import shutil
import tempfile

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

# A browser that finds nothing but this machine must not look for more.
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--window-size=1280,1000",
         "--ignore-certificate-errors"]
WAIT_S = 30


def start():
    """The browser, with a profile of its own that goes with it."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome")
    profile = tempfile.TemporaryDirectory()
    for flag in [*FLAGS, f"--user-data-dir={profile.name}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    driver.profile = profile
    return driver


def patient(act):
    """A page may show something anew just as somebody reaches for it: then they reach again."""
    def again(*args):
        for _ in range(20):
            try:
                return act(*args)
            except StaleElementReferenceException:
                continue
        return act(*args)
    return again


class Person:
    """Somebody at a browser."""

    def __init__(self, driver, endpoint):
        self.driver, self.endpoint = driver, endpoint

    def open(self, path):
        self.driver.get(self.endpoint + path)

    def sign_in(self, keys):
        self.driver.delete_all_cookies()
        self.open("/console")
        self.fill("Access key ID", keys.key)
        self.fill("Secret access key", keys.secret)
        if keys.token:
            self.driver.find_element(By.TAG_NAME, "summary").click()
            self.fill("Session token", keys.token)
        self.press("Sign in")
        # What came before is no complaint about this.
        self.complaints()

    @patient
    def field(self, label):
        """What a label names, whichever way it does."""
        for found in self.driver.find_elements(By.TAG_NAME, "label"):
            if found.text.startswith(label):
                named = found.get_attribute("for")
                return self.driver.find_element(By.ID, named) if named else found.find_element(By.TAG_NAME, "input")
        return self.driver.find_element(By.CSS_SELECTOR, f'[aria-label="{label}"]')

    def fill(self, label, text):
        field = self.field(label)
        field.clear()
        field.send_keys(text)

    @patient
    def choose(self, label):
        self.field(label).click()

    def pick(self, label, text):
        Select(self.field(label)).select_by_visible_text(text)

    @patient
    def press(self, text):
        found = [button for button in self.driver.find_elements(By.TAG_NAME, "button")
                 if button.text == text and button.is_displayed()]
        assert found, f"no button {text!r} in {self.text()}"
        self.leave(found[0])

    def leave(self, by):
        """Clicks on what leads to another page, and waits for that."""
        # Asking after an element of the old page, as the new one comes, can fail in ways that the driver has no name for.
        self.driver.execute_script("window.isOld = true")
        by.click()
        WebDriverWait(self.driver, WAIT_S, 0.05, ignored_exceptions=[WebDriverException]).until(
            lambda driver: driver.execute_script("return !window.isOld && document.readyState === 'complete'"))

    @patient
    def follow(self, text):
        found = [link for link in self.driver.find_elements(By.TAG_NAME, "a") if link.text == text]
        assert found, f"no link {text!r} in {self.text()}"
        self.leave(found[0])

    def unfold(self, text):
        found = [one for one in self.driver.find_elements(By.TAG_NAME, "summary") if one.text.startswith(text)]
        found[0].click()

    def text(self, selector="body"):
        return self.driver.find_element(By.CSS_SELECTOR, selector).text

    def sees(self, text, selector="body"):
        """Waits until a text is there."""
        def there(driver):
            return any(text in found.text for found in driver.find_elements(By.CSS_SELECTOR, selector))
        WebDriverWait(self.driver, WAIT_S, 0.1, ignored_exceptions=[Exception]).until(
            there, f"{text!r} is not in {selector}: {self.text()}")

    def picture(self, name):
        """Leaves a picture of the page where somebody asked for them."""
        if "LINKROLE_TEST_PICTURES" in os.environ:
            folder = pathlib.Path(os.environ["LINKROLE_TEST_PICTURES"])
            folder.mkdir(parents=True, exist_ok=True)
            self.driver.save_screenshot(str(folder / f"{name}.png"))

    def complaints(self):
        """What the browser complains of: scripts that fail, and what the page's policy kept out."""
        # That a page was refused is no complaint: the tests mean it.
        return [entry["message"] for entry in self.driver.get_log("browser")
                if entry["level"] == "SEVERE" and entry["source"] != "network"]

    def barriers(self):
        """What of the page keeps people out, by axe's rules for WCAG 2.2 AA."""
        axe = pathlib.Path(os.environ.get("LINKROLE_TEST_NODE_MODULES", "node_modules"), "axe-core/axe.min.js")
        self.driver.execute_script(axe.read_text())
        found = self.driver.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            "axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })"
            ".then((found) => done(found.violations.map((v) => v.id + ': ' + v.nodes.map((n) => n.html).join(' | '))));")
        return found
