package faceencryption.core.photo

import faceencryption.core.MessageKind
import java.io.StringWriter
import javax.xml.parsers.DocumentBuilderFactory
import javax.xml.transform.OutputKeys
import javax.xml.transform.TransformerFactory
import javax.xml.transform.dom.DOMSource
import javax.xml.transform.stream.StreamResult
import org.w3c.dom.Attr
import org.w3c.dom.Document
import org.w3c.dom.Element
import org.w3c.dom.Node
import org.xml.sax.SAXException

private const val MAX_READ = 1 shl 18
private const val GOOGLE = "http://ns.google.com/photos/"
private const val PANORAMA = GOOGLE + "1.0/panorama/"

/** Namespaces that hold pictures, or say where in the file pictures, videos and gain maps are. */
private val PICTURES = listOf(
    "http://ns.adobe.com/xap/1.0/g/img/", GOOGLE, "http://ns.adobe.com/hdr-gain-map/",
    "http://ns.apple.com/HDRGainMap/", "http://ns.apple.com/pixeldatainfo/", "http://ns.xiaomi.com/photos/",
    "http://ns.oplus.com/photos/", "http://ns.samsung.com/", "http://ns.adobe.com/xmp/note/",
)
private const val THUMBNAILS = "Thumbnails"
private val CAMERA = setOf("http://ns.adobe.com/tiff/1.0/", "http://ns.adobe.com/exif/1.0/")
private val REGIONS =
    listOf("http://www.metadataworkinggroup.com/schemas/regions/", "http://ns.microsoft.com/photo/1.2/")
private val PEOPLE = setOf("PersonInImage", "PersonInImageWDetails", "ImageRegion", "PersonDisplayName")
private val PLACES = setOf(
    "Location", "LocationCreated", "LocationShown", "City", "State", "CountryName", "Country", "Sublocation",
)
private val AUTHORS = setOf("creator", "rights", "CreatorContactInfo", "AuthorsPosition")

/** What is said in coordinates of the picture as it was stored. */
private val IN_COORDINATES = setOf("ImageRegion", "SubjectArea", "SubjectLocation")
private val WIDTHS = setOf("ImageWidth", "PixelXDimension")
private val HEIGHTS = setOf("ImageLength", "PixelYDimension")

/** An XMP packet: what it tells, and what of it is written back. `runtime/photo/xmp.py` has the same names. */
internal class Xmp private constructor(private val packet: ByteArray, private val document: Document) {
    private var isChanged = false

    /** What the packet tells. */
    val facts: List<MessageKind>
        get() {
            val found = HashSet<MessageKind>()
            for (node in nodes()) {
                val name = node.localName.orEmpty()
                if (name.lowercase().startsWith("gps")) found.add(MessageKind.GPS_POSITION)
                if (name in PLACES) found.add(MessageKind.PLACES)
                if (isIn(node, REGIONS) || name in PEOPLE) found.add(MessageKind.NAMES_OF_PEOPLE)
                if (name in AUTHORS) found.add(MessageKind.AUTHOR)
            }
            return FACTS.filter { it in found }
        }

    /** Whether there is a picture in it. */
    val holdsPreview: Boolean get() = nodes().any { holdsPreview(it) }

    /**
     * Remove what must not be written back, and make the rest true of the upright picture of this size, which was not
     * stored upright where it [isTurned]. Returns what was removed.
     */
    fun clean(width: Int, height: Int, isTurned: Boolean): List<MessageKind> {
        val removed = ArrayList<MessageKind>()
        for (node in nodes()) {
            val space = node.namespaceURI.orEmpty()
            val name = node.localName.orEmpty()
            when {
                (isIn(node, PICTURES) && space != PANORAMA) || holdsPreview(node) -> {
                    if (holdsPreview(node)) removed.add(MessageKind.PREVIEW)
                    remove(node)
                }
                isTurned && (isIn(node, REGIONS) || space == PANORAMA || name in IN_COORDINATES) -> {
                    removed.add(MessageKind.REGIONS_AS_IT_LAY)
                    remove(node)
                }
                space !in CAMERA -> {}
                isTurned && name == "Orientation" -> set(node, "1")
                name in WIDTHS -> set(node, "$width")
                name in HEIGHTS -> set(node, "$height")
            }
        }
        return removed
    }

    /** The packet to write; null where a picture is left in it. */
    fun written(): ByteArray? {
        if (!isChanged) return packet.takeUnless { holdsPicture(it) }
        val text = StringWriter()
        val transformer = TransformerFactory.newInstance().newTransformer()
        transformer.setOutputProperty(OutputKeys.OMIT_XML_DECLARATION, "yes")
        transformer.transform(DOMSource(document), StreamResult(text))
        return text.toString().toByteArray().takeUnless { holdsPicture(it) }
    }

    /** All elements and attributes, whatever the depth. */
    private fun nodes(): List<Node> {
        val found = ArrayList<Node>()
        val waiting = ArrayList<Node>().apply { add(document) }
        while (waiting.isNotEmpty()) {
            val node = waiting.removeAt(waiting.size - 1)
            for (at in node.childNodes.length - 1 downTo 0) waiting.add(node.childNodes.item(at))
            if (node !is Element) continue
            found.add(node)
            for (at in 0 until node.attributes.length) {
                val attribute = node.attributes.item(at)
                if (attribute.prefix != "xmlns" && attribute.nodeName != "xmlns") found.add(attribute)
            }
        }
        return found
    }

    private fun remove(node: Node) {
        isChanged = true
        if (node is Attr) node.ownerElement?.removeAttributeNode(node) else node.parentNode?.removeChild(node)
    }

    private fun set(node: Node, value: String) {
        isChanged = true
        if (node is Attr) node.value = value else node.textContent = value
    }

    companion object {
        /** In the order in which they are told. */
        private val FACTS = listOf(
            MessageKind.GPS_POSITION, MessageKind.PLACES, MessageKind.NAMES_OF_PEOPLE, MessageKind.AUTHOR,
        )

        /** A packet; null where there is none, or it cannot be read. */
        fun read(packet: ByteArray): Xmp? {
            val text = text(packet)
            // XMP has no document types, and so no entities.
            val isUnusual = "<!" in text.replace("<!--", "").replace("<![CDATA[", "") || '\u0000' in text.trim('\u0000')
            if (packet.isEmpty() || packet.size > MAX_READ || isUnusual) return null
            return try {
                val factory = DocumentBuilderFactory.newInstance().apply { isNamespaceAware = true }
                val builder = factory.newDocumentBuilder().apply { setErrorHandler(null) }
                val whole = text.trim('\u0000', ' ', '\r', '\n', '\t').byteInputStream(Charsets.ISO_8859_1)
                Xmp(packet, builder.parse(whole))
            } catch (error: SAXException) {
                null
            }
        }
    }
}

private fun isIn(node: Node, spaces: List<String>) = spaces.any { node.namespaceURI.orEmpty().startsWith(it) }

private fun holdsPreview(node: Node): Boolean =
    node.localName == THUMBNAILS || holdsPicture(ownText(node).toByteArray())

private fun ownText(node: Node): String {
    if (node !is Element) return node.nodeValue.orEmpty()
    val children = List(node.childNodes.length) { node.childNodes.item(it) }
    return children.filter { it.nodeType == Node.TEXT_NODE || it.nodeType == Node.CDATA_SECTION_NODE }
        .joinToString("") { it.nodeValue }
}
