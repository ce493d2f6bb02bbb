"""One message of each format for the caller in the sample town, all of them made up: reserved networks and numbers."""

from __future__ import annotations

PIDF_LO = """<?xml version="1.0" encoding="UTF-8"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:gp="urn:ietf:params:xml:ns:pidf:geopriv10"
  xmlns:gs="http://www.opengis.net/pidflo/1.0" xmlns:gml="http://www.opengis.net/gml" entity="pres:caller@example.com">
  <tuple id="t"><status><gp:geopriv><gp:location-info>
    <gs:Circle srsName="urn:ogc:def:crs:EPSG::4326"><gml:pos>54.9977 2.4952</gml:pos>
    <gs:radius uom="urn:ogc:def:uom:EPSG::9001">60</gs:radius></gs:Circle>
  </gp:location-info><gp:usage-rules/><gp:method>802.11</gp:method></gp:geopriv></status>
  <timestamp>2026-03-14T11:59:30Z</timestamp></tuple>
</presence>
"""
_BODY = f"--xyz\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--xyz\r\nContent-Type: application/pidf+xml\r\nContent-ID: <loc@example.com>\r\n\r\n{PIDF_LO}\r\n--xyz--\r\n"
ALI = (
    "\x022126\r\n(719) 555-0128 WPH2 03/14 11:59\r\nEXAMPLE WIRELESS            \r\n      3690       P#719-555-0128\r\n"
    "   MILL LANE - N Sector\r\n                    \r\nCALLBK=(719)555-0125  262 00311\r\nCO TESTHAM                     \r\n"
    "                  TEL=XXMO\r\n+54.997800  +002.495300     35 \r\nPSAP=TESTHAM\r\nVERIFY PD\r\nVERIFY FD\r\nVERIFY EMS\x03"
)

# Format -> a message that says where the caller is.
MESSAGES: dict[str, bytes] = {
    "aml": b'A"ML=1;lt=+54.99776;lg=+002.49523;rd=20;top=20260314115900;lc=68;pm=G;si=001010123456789;'
    b"ei=352099001234560;mcc=001;mnc=01;ml=129",
    "pidf-lo": PIDF_LO.encode(),
    "held": PIDF_LO.replace('<?xml version="1.0" encoding="UTF-8"?>\n', "")
    .join(['<locationResponse xmlns="urn:ietf:params:xml:ns:geopriv:held">', "</locationResponse>"])
    .encode(),
    "sip": (
        "INVITE urn:service:sos SIP/2.0\r\nGeolocation: <cid:loc@example.com>\r\nGeolocation-Routing: yes\r\n"
        f'Content-Type: multipart/mixed; boundary="xyz"\r\nContent-Length: {len(_BODY)}\r\n\r\n{_BODY}'
    ).encode(),
    # A circle of 64 m round 54.99929, 2.49523.
    "gad": bytes.fromhex("104e38a101c63e15"),
    "ali": ALI.encode(),
    "mlp": b'<svc_result ver="3.5.0"><slia ver="3.5.0"><pos><msid type="MSISDN">441632960168</msid><pd>'
    b'<time utc_off="+0000">20260314115900</time><shape><CircularArea srsName="www.epsg.org#4326"><coord>'
    b"<X>54 59 51.72N</X><Y>2 29 42.72E</Y></coord><radius>50</radius></CircularArea></shape></pd></pos></slia></svc_result>",
    "access-network": b"3GPP-E-UTRAN-FDD; utran-cell-id-3gpp=00101044D0100503",
    "rfc7105": b'<lm:measurements xmlns:lm="urn:ietf:params:xml:ns:geopriv:lm"><lm:cellular><lm:servingCell><lm:mcc>001</lm:mcc>'
    b"<lm:mnc>01</lm:mnc><lm:eucid>1049859</lm:eucid></lm:servingCell></lm:cellular></lm:measurements>",
}
