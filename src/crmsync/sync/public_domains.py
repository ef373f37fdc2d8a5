"""Domains at which anybody can have an address, so that they say nothing of the company."""

from __future__ import annotations

PUBLIC_DOMAINS = (
    *("aol.com", "bluewin.ch", "btinternet.com", "comcast.net", "fastmail.com", "free.fr"),
    *("freenet.de", "gmail.com", "gmx.at", "gmx.ch", "gmx.com", "gmx.de", "gmx.net"),
    *("googlemail.com", "hey.com", "hotmail.co.uk", "hotmail.com", "hotmail.de", "hotmail.fr"),
    *("icloud.com", "laposte.net", "libero.it", "live.com", "mac.com", "mail.com", "mail.ru"),
    *("mailbox.org", "me.com", "msn.com", "naver.com", "orange.fr", "outlook.com", "outlook.de"),
    *("posteo.de", "proton.me", "protonmail.com", "qq.com", "rediffmail.com", "seznam.cz"),
    *("sfr.fr", "t-online.de", "telia.com", "tutanota.com", "uol.com.br", "verizon.net"),
    *("wanadoo.fr", "web.de", "wp.pl", "yahoo.co.jp", "yahoo.co.uk", "yahoo.com", "yahoo.de"),
    *("yahoo.fr", "yandex.ru", "ymail.com", "zoho.com", "163.com", "126.com"),
)
